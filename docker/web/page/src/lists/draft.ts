/**
 * A process list being edited: pure functions from one draft to the next.
 *
 * Values stay the text that the user typed; only the API knows what they mean.
 */

import type { ListBody, Parameter, Plugin, ProcessList, Step } from "../services/types";

export interface DraftStep {
  /** Stays with the step when it moves; only for this page. */
  key: string;
  name: string;
  /** Module path; "" for a plugin whose catalogue did not say. */
  id: string;
  active: boolean;
  known: boolean;
  synopsis: string;
  warn: string;
  docLink: string;
  parameters: Parameter[];
}

export interface Draft {
  steps: DraftStep[];
  selected: string | null;
}

let keys = 0;
function newKey(): string {
  keys += 1;
  return `step-${keys}`;
}

function stepOf(step: Step): DraftStep {
  return {
    key: newKey(),
    name: step.name,
    id: step.id,
    active: step.active,
    known: step.known,
    synopsis: step.synopsis ?? "",
    warn: step.warn ?? "",
    docLink: step.doc_link ?? "",
    parameters: step.parameters,
  };
}

export function draftOf(list: Pick<ProcessList, "plugins">): Draft {
  const steps = list.plugins.map(stepOf);
  return { steps, selected: steps[0]?.key ?? null };
}

/** Steps that another page made, with keys that are unique on this one. */
export function rekeyed(steps: DraftStep[]): DraftStep[] {
  return steps.map((step) => ({ ...step, key: newKey() }));
}

export const EMPTY: Draft = { steps: [], selected: null };

export function selectStep(draft: Draft, key: string): Draft {
  return { ...draft, selected: key };
}

export function setValue(draft: Draft, key: string, parameter: string, value: string): Draft {
  return mapStep(draft, key, (step) => ({
    ...step,
    parameters: step.parameters.map((item) => (item.name === parameter ? { ...item, value } : item)),
  }));
}

export function setActive(draft: Draft, key: string, active: boolean): Draft {
  return mapStep(draft, key, (step) => ({ ...step, active }));
}

/** @param by -1 moves the step up, 1 down; a move beyond the ends does nothing */
export function moveStep(draft: Draft, key: string, by: -1 | 1): Draft {
  const from = draft.steps.findIndex((step) => step.key === key);
  const to = from + by;
  const moved = draft.steps[from];
  if (!moved || to < 0 || to >= draft.steps.length) return draft;
  const steps = draft.steps.toSpliced(from, 1);
  steps.splice(to, 0, moved);
  return { ...draft, steps };
}

/** The step after the removed one (else the one before) becomes the selected one. */
export function removeStep(draft: Draft, key: string): Draft {
  const at = draft.steps.findIndex((step) => step.key === key);
  if (at < 0) return draft;
  const steps = draft.steps.toSpliced(at, 1);
  const selected =
    draft.selected === key ? ((steps[at] ?? steps[at - 1])?.key ?? null) : draft.selected;
  return { steps, selected };
}

export function duplicateStep(draft: Draft, key: string): Draft {
  const at = draft.steps.findIndex((step) => step.key === key);
  const original = draft.steps[at];
  if (!original) return draft;
  const copy = { ...original, key: newKey() };
  return { steps: draft.steps.toSpliced(at + 1, 0, copy), selected: copy.key };
}

/** Adds the plugin with its defaults after the selected step, and selects it. */
export function addPlugin(draft: Draft, plugin: Plugin): Draft {
  const at = draft.steps.findIndex((step) => step.key === draft.selected);
  const step = stepOf({ ...plugin, pos: "", active: true, known: true });
  const place = at < 0 ? draft.steps.length : at + 1;
  return { steps: draft.steps.toSpliced(place, 0, step), selected: step.key };
}

function mapStep(draft: Draft, key: string, change: (step: DraftStep) => DraftStep): Draft {
  return {
    ...draft,
    steps: draft.steps.map((step) => (step.key === key ? change(step) : step)),
  };
}

/** What is sent, and what two drafts are compared by. */
export function bodyOf(draft: Draft): ListBody {
  return {
    plugins: draft.steps.map((step) => ({
      name: step.name,
      active: step.active,
      ...(step.id ? { id: step.id } : {}),
      parameters: step.parameters.map(({ name, value }) => ({ name, value })),
    })),
  };
}

export function sameBody(one: ListBody, other: ListBody): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

/** Positions as the API numbers them: 1, 2, … */
export function positionOf(draft: Draft, key: string): number {
  return draft.steps.findIndex((step) => step.key === key) + 1;
}
