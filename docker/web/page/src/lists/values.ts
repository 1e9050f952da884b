/**
 * A quick look at a value while it is typed. The API has the last word: what it does not find wrong
 * here, it may still refuse.
 */

export type InputKind = "options" | "switch" | "text";

/** Which input fits a parameter. */
export function inputKind(type: string | undefined, options: unknown[] | null | undefined): InputKind {
  if (options && options.length > 0) return "options";
  if (type === "bool") return "switch";
  return "text";
}

export function isTrue(value: string): boolean {
  return value.trim().toLowerCase() === "true";
}

const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
const INTEGER = /^[+-]?\d+$/;

/** A sentence if the value cannot be meant, else null. Tuning ("60;62;64") is always let through. */
export function complaint(value: string, type: string | undefined): string | null {
  const text = value.trim();
  if (text.includes(";")) return null;
  if (type === "int" && !INTEGER.test(text)) return "A whole number is needed here, such as 10.";
  if (type === "float" && !NUMBER.test(text)) return "A number is needed here, such as 0.5.";
  return null;
}

/** How many values a tuned parameter has: "60;62;64" is 3, "1:10:2;" is 5, anything else 1. */
export function tuningCount(value: string): number {
  if (!value.includes(";")) return 1;
  return value
    .split(";")
    .filter((part) => part.trim() !== "")
    .reduce((count, part) => count + rangeLength(part), 0);
}

function rangeLength(part: string): number {
  const numbers = part.split(":").map(Number);
  if (numbers.length !== 3 || numbers.some(Number.isNaN)) return 1;
  const [start = 0, stop = 0, step = 0] = numbers;
  return step === 0 ? 1 : Math.max(0, Math.ceil((stop - start) / step));
}
