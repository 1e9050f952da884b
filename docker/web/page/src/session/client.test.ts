import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { requestJson, sessionUrl } from "./client";
import { monitor } from "./monitor";
import { LoginNeeded, Problem, SessionGone, Unreachable } from "./problems";

function answer(status: number, body: unknown, type = "application/json", url = "") {
  const response = new Response(JSON.stringify(body), {
    status,
    headers: { "Content-Type": type },
  });
  Object.defineProperty(response, "url", { value: url });
  return response;
}

const fetched = vi.fn<typeof fetch>();

beforeEach(() => {
  vi.stubGlobal("fetch", fetched);
  document.cookie = "_xsrf=2|abc|def";
  for (const name of ["gone", "suspect", "loginNeeded"] as const) {
    vi.spyOn(monitor, name).mockReturnValue(undefined as never);
  }
});

afterEach(() => {
  vi.unstubAllGlobals();
  fetched.mockReset();
});

function ask(background = false) {
  return requestJson(sessionUrl("api/files", { path: "/a b" }), {
    action: "Listing the folder",
    background,
  });
}

describe("a request", () => {
  test("stays below the session's prefix and carries the token", async () => {
    fetched.mockResolvedValue(answer(200, { path: "/a b" }));
    await expect(ask()).resolves.toEqual({ path: "/a b" });
    const [url, init] = fetched.mock.calls[0] ?? [];
    expect(url).toBe("http://hub.test/user/ada/api/files?path=%2Fa+b");
    const headers = new Headers(init?.headers);
    expect(headers.get("X-XSRFToken")).toBe("2|abc|def");
    expect(headers.has("X-Background")).toBe(false);
  });

  test("that is not a person's act says so", async () => {
    fetched.mockResolvedValue(answer(200, {}));
    await ask(true);
    const headers = new Headers(fetched.mock.calls[0]?.[1]?.headers);
    expect(headers.get("X-Background")).toBe("1");
  });

  test("that is refused fails with the service's own sentence", async () => {
    const detail = "/b is outside the folders of this session.";
    fetched.mockResolvedValue(
      answer(403, { detail, code: "outside" }, "application/problem+json"),
    );
    const error = await ask().catch((e: unknown) => e);
    expect(error).toBeInstanceOf(Problem);
    expect(error).toMatchObject({ status: 403, code: "outside", message: detail });
  });

  test("without a login asks for one", async () => {
    fetched.mockResolvedValue(answer(401, {}, "application/problem+json"));
    await expect(ask()).rejects.toBeInstanceOf(LoginNeeded);
    expect(monitor.loginNeeded).toHaveBeenCalled();
  });

  test("with the token of another login asks to load the page again", async () => {
    fetched.mockResolvedValue(answer(403, { code: "xsrf" }, "application/problem+json"));
    await expect(ask()).rejects.toBeInstanceOf(LoginNeeded);
  });

  test("that the hub answers says that the session is gone", async () => {
    fetched.mockResolvedValue(
      answer(200, "", "text/html", "http://hub.test/hub/user/ada/api/files"),
    );
    await expect(ask()).rejects.toBeInstanceOf(SessionGone);
    expect(monitor.gone).toHaveBeenCalled();
  });

  test("without an answer makes the monitor look", async () => {
    fetched.mockRejectedValue(new TypeError("Failed to fetch"));
    await expect(ask()).rejects.toBeInstanceOf(Unreachable);
    expect(monitor.suspect).toHaveBeenCalled();
  });

  test("while the dataserver restarts is worth repeating, and no reason to doubt the session", async () => {
    fetched.mockResolvedValue(
      answer(503, { code: "dataserver-down", detail: "Wait." }, "application/problem+json"),
    );
    await expect(ask()).rejects.toBeInstanceOf(Unreachable);
    expect(monitor.suspect).not.toHaveBeenCalled();
  });
});
