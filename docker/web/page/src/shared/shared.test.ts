import { describe, expect, test } from "vitest";
import { ancestors, baseName, cleanPath, folderOf, joinPath } from "./paths";
import { formatAge, formatDuration, formatSize } from "./quantities";

describe("a path", () => {
  test("that was pasted is freed of what came along", () => {
    expect(cleanPath(" '/a b/c/' \n")).toBe("/a b/c");
    expect(cleanPath("file:///a/b.nxs")).toBe("/a/b.nxs");
    expect(cleanPath("/")).toBe("/");
  });

  test("is taken apart and put together", () => {
    expect(folderOf("/a/b.nxs")).toBe("/a");
    expect(folderOf("/b.nxs")).toBe("/");
    expect(baseName("/a/b.nxs")).toBe("b.nxs");
    expect(joinPath("/", "b")).toBe("/b");
    expect(joinPath("/a", "b")).toBe("/a/b");
    expect(ancestors("/a/b").map((crumb) => crumb.path)).toEqual(["/", "/a", "/a/b"]);
  });
});

describe("a quantity", () => {
  test("of bytes is short", () => {
    expect([0, 999, 1500, 250_000_000, 7e13].map(formatSize)).toEqual([
      "0 B",
      "999 B",
      "1.5 kB",
      "250 MB",
      "70 TB",
    ]);
    expect(formatSize(null)).toBe("");
  });

  test("of time is short", () => {
    const now = Date.parse("2026-11-24T12:00:00Z");
    expect(formatAge("2026-11-24T11:59:30Z", now)).toBe("30 s");
    expect(formatAge("2026-11-24T09:00:00Z", now)).toBe("3 h");
    expect(formatAge("2026-11-04T12:00:00Z", now)).toBe("20 d");
    expect(formatAge("2026-11-24T13:00:00Z", now)).toBe("0 s");
    expect(formatAge("not a time", now)).toBe("");
    expect(formatDuration(75)).toBe("1 min 15 s");
  });
});
