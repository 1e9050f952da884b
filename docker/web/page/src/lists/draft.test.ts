import { describe, expect, test } from "vitest";
import type { Plugin, Step } from "../services/types";
import {
  addPlugin,
  bodyOf,
  draftOf,
  duplicateStep,
  moveStep,
  removeStep,
  sameBody,
  selectStep,
  setActive,
  setValue,
} from "./draft";

function step(name: string, value = "1"): Step {
  return {
    name,
    pos: "",
    id: `savu.plugins.${name.toLowerCase()}`,
    active: true,
    known: true,
    parameters: [{ name: "size", value, visibility: "basic" }],
  };
}

function opened(...names: string[]) {
  return draftOf({ plugins: names.map((name) => step(name)) });
}

function names(draft: ReturnType<typeof opened>) {
  return draft.steps.map((item) => item.name);
}

function keyAt(draft: ReturnType<typeof opened>, index: number): string {
  return draft.steps[index]?.key ?? "";
}

describe("a draft", () => {
  test("holds what the file holds until something is changed", () => {
    const draft = opened("A", "B");
    const saved = bodyOf(draft);
    const key = keyAt(draft, 0);
    expect(sameBody(bodyOf(selectStep(draft, key)), saved)).toBe(true);
    const changed = setValue(draft, key, "size", "2");
    expect(sameBody(bodyOf(changed), saved)).toBe(false);
    expect(sameBody(bodyOf(setValue(changed, key, "size", "1")), saved)).toBe(true);
  });

  test("is sent with values as they were typed and with the module of each plugin", () => {
    const draft = setValue(opened("A"), "none such", "size", "9");
    const typed = setActive(setValue(draft, keyAt(draft, 0), "size", "[None, 2]"), keyAt(draft, 0), false);
    expect(bodyOf(typed)).toEqual({
      plugins: [
        {
          name: "A",
          id: "savu.plugins.a",
          active: false,
          parameters: [{ name: "size", value: "[None, 2]" }],
        },
      ],
    });
  });

  test("moves a step, but not beyond the ends", () => {
    const draft = opened("A", "B", "C");
    expect(names(moveStep(draft, keyAt(draft, 2), -1))).toEqual(["A", "C", "B"]);
    expect(moveStep(draft, keyAt(draft, 0), -1)).toBe(draft);
    expect(moveStep(draft, keyAt(draft, 2), 1)).toBe(draft);
  });

  test("selects the neighbour of a removed step", () => {
    const draft = opened("A", "B", "C");
    const selected = selectStep(draft, keyAt(draft, 1));
    const less = removeStep(selected, keyAt(draft, 1));
    expect(names(less)).toEqual(["A", "C"]);
    expect(less.selected).toBe(keyAt(draft, 2));
    const last = removeStep(selectStep(draft, keyAt(draft, 2)), keyAt(draft, 2));
    expect(last.selected).toBe(keyAt(draft, 1));
  });

  test("keeps a duplicate apart from its original", () => {
    const draft = opened("A");
    const twice = duplicateStep(draft, keyAt(draft, 0));
    const changed = setValue(twice, keyAt(twice, 1), "size", "7");
    expect(changed.steps.map((item) => item.parameters[0]?.value)).toEqual(["1", "7"]);
  });

  test("takes a new plugin after the selected step", () => {
    const draft = opened("A", "B");
    const plugin: Plugin = {
      ...step("New"),
      id: "x",
      info: "",
      synopsis: "",
      warn: "",
      doc_link: "",
      citations: [],
      engines: ["builtin"],
    };
    const more = addPlugin(draft, plugin);
    expect(names(more)).toEqual(["A", "New", "B"]);
    expect(more.selected).toBe(keyAt(more, 1));
  });
});
