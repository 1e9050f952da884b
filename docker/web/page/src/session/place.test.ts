import { describe, expect, test } from "vitest";
import { endedUrl, placeFromPath, startAgainUrl } from "./place";
import { xsrfToken } from "./xsrf";

describe("the page's address", () => {
  test("says whose session it is and where the hub is", () => {
    expect(placeFromPath("/user/ada/")).toEqual({ hub: "/hub/", user: "ada", server: "" });
    expect(placeFromPath("/jupyter/user/a%20b/gpu/")).toEqual({
      hub: "/jupyter/hub/",
      user: "a b",
      server: "gpu",
    });
    expect(placeFromPath("/")).toEqual({ hub: "/hub/", user: "", server: "" });
  });

  test("comes back after starting again", () => {
    const url = startAgainUrl(
      { hub: "/hub/", user: "ada", server: "gpu" },
      "/user/ada/gpu/?view=data&data=/a/b.nxs",
    );
    expect(url).toBe(
      "/hub/spawn/ada/gpu?next=%2Fuser%2Fada%2Fgpu%2F%3Fview%3Ddata%26data%3D%2Fa%2Fb.nxs",
    );
  });

  test("leads to the reason why the session ended", () => {
    expect(endedUrl({ hub: "/hub/", user: "ada", server: "" })).toBe("/hub/savu/ended/ada/");
    expect(endedUrl({ hub: "/hub/", user: "ada", server: "x" })).toBe("/hub/savu/ended/ada/x");
  });
});

test("of two XSRF cookies the first is the named server's own", () => {
  expect(xsrfToken("other=1; _xsrf=own%3D; _xsrf=default")).toBe("own=");
  expect(xsrfToken("")).toBe("");
});
