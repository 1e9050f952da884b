import { expect, test } from "vitest";
import { formatLocation, parseLocation } from "./location";

test("an address leads back to where it was made", () => {
  const location = {
    view: "list" as const,
    folder: "/dls/i12/data/2026/cm10001-1",
    data: "/a & b/ü#?.nxs",
    list: "",
    job: "full/12",
  };
  expect(parseLocation(formatLocation(location))).toEqual(location);
});

test("an address of nothing opens the data view", () => {
  expect(parseLocation("?view=nonsense")).toEqual({
    view: "data",
    folder: null,
    data: null,
    list: null,
    job: null,
  });
});
