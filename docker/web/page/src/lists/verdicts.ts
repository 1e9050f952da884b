/** What the engines say about a list, in words. */

import type { EngineVerdict, StepError } from "../services/types";
import type { DraftStep } from "./draft";

/** Sentences about one step; empty if it is well. */
export function problemsOf(
  step: DraftStep,
  position: number,
  verdicts: EngineVerdict[],
  errors: StepError[],
): string[] {
  const problems: string[] = [];
  if (!step.known) {
    problems.push(`No installed engine has ${step.name}; it is kept in the list as it is.`);
  } else if (step.active && verdicts.length > 0) {
    const lacking = verdicts.map((verdict) =>
      verdict.lacks.find((lack) => lack.pos === String(position)),
    );
    if (lacking.every((lack) => lack !== undefined)) {
      problems.push(lacking[0]?.reason || `No installed engine runs ${step.name}.`);
    }
  }
  for (const error of errors) {
    if (error.pos !== String(position)) continue;
    const where = error.parameter ? `${error.parameter}: ` : "";
    problems.push(where + error.message);
  }
  return problems;
}

export interface Verdict {
  runs: boolean;
  sentence: string;
}

/** Whether an engine runs the list; null while nobody has said so. */
export function verdictOf(engine: string, verdicts: EngineVerdict[]): Verdict | null {
  const verdict = verdicts.find((item) => item.name === engine);
  if (!verdict) return null;
  if (verdict.runs) return { runs: true, sentence: `${engine} runs this list.` };
  const lacks = verdict.lacks.map(({ name, pos, reason }) =>
    reason ? `${name} (step ${pos}): ${reason}` : `${name} (step ${pos})`,
  );
  const missing = lacks.length > 0 ? `: ${lacks.join("; ")}` : "";
  const elsewhere =
    verdict.elsewhere.length > 0
      ? ` ${verdict.elsewhere.join(" and ")} would run it.`
      : " Switch the step off, or remove it, to run the rest.";
  return { runs: false, sentence: `${engine} cannot run this list${missing}.${elsewhere}` };
}
