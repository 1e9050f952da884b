import { describe, expect, test } from "vitest";
import type { EngineVerdict } from "../services/types";
import { draftOf } from "./draft";
import { problemsOf, verdictOf } from "./verdicts";

const lacking: EngineVerdict = {
  name: "builtin",
  runs: false,
  lacks: [{ pos: "2", name: "PaganinFilter", reason: "it does not have this plugin" }],
  elsewhere: ["savu"],
};

describe("before running", () => {
  test("the engine that runs the list is named", () => {
    const verdicts = [{ name: "builtin", runs: true, lacks: [], elsewhere: [] }];
    expect(verdictOf("builtin", verdicts)).toEqual({
      runs: true,
      sentence: "builtin runs this list.",
    });
  });

  test("the steps that the engine lacks are named, and who has them", () => {
    const verdict = verdictOf("builtin", [lacking]);
    expect(verdict?.runs).toBe(false);
    expect(verdict?.sentence).toContain("PaganinFilter (step 2): it does not have this plugin");
    expect(verdict?.sentence).toContain("savu would run it");
  });

  test("nothing is claimed of an engine that nobody asked", () => {
    expect(verdictOf("savu", [lacking])).toBeNull();
  });
});

describe("a step", () => {
  const [step] = draftOf({
    plugins: [{ name: "PaganinFilter", pos: "2", id: "x", active: true, known: true, parameters: [] }],
  }).steps;
  if (!step) throw new Error("no step");

  test("that one engine of two has is well", () => {
    const savu: EngineVerdict = { name: "savu", runs: true, lacks: [], elsewhere: [] };
    expect(problemsOf(step, 2, [lacking, savu], [])).toEqual([]);
  });

  test("that no engine runs is marked, unless it is switched off", () => {
    expect(problemsOf(step, 2, [lacking], [])).toEqual(["it does not have this plugin"]);
    expect(problemsOf({ ...step, active: false }, 2, [lacking], [])).toEqual([]);
  });

  test("that no catalogue knows is marked and said to be kept", () => {
    expect(problemsOf({ ...step, known: false }, 2, [], [])[0]).toContain("kept");
  });

  test("shows its own errors only", () => {
    const errors = [
      { pos: "2", plugin: "PaganinFilter", parameter: "Energy", message: "A number is needed." },
      { pos: "3", plugin: "Other", message: "Wrong." },
    ];
    expect(problemsOf(step, 2, [], errors)).toEqual(["Energy: A number is needed."]);
  });
});
