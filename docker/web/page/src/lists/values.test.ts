import { describe, expect, test } from "vitest";
import { complaint, inputKind, isTrue, tuningCount } from "./values";

describe("a value", () => {
  test.each([
    ["10", "int", true],
    ["-3", "int", true],
    ["1.5", "int", false],
    ["", "int", false],
    ["0.5", "float", true],
    ["1e-3", "float", true],
    ["half", "float", false],
    ["anything", "str", true],
    ["None", "[None,int]", true],
    ["60;62;64", "int", true],
    ["10", undefined, true],
  ])("%j as %s is accepted: %s", (value, type, accepted) => {
    expect(complaint(value, type) === null).toBe(accepted);
  });

  test("is tuned when it holds a semicolon", () => {
    expect(tuningCount("60")).toBe(1);
    expect(tuningCount("60;62;64")).toBe(3);
    expect(tuningCount("10;")).toBe(1);
    expect(tuningCount("0:10:2;")).toBe(5);
    expect(tuningCount("FBP;SIRT")).toBe(2);
  });

  test("gets the input of its type", () => {
    expect(inputKind("str", [["FBP", "back-projection"]])).toBe("options");
    expect(inputKind("bool", [])).toBe("switch");
    expect(inputKind("[None,bool]", null)).toBe("text");
    expect(isTrue("True")).toBe(true);
    expect(isTrue("False")).toBe(false);
  });
});
