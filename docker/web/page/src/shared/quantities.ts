/** Sizes and times for people. */

const UNITS = ["B", "kB", "MB", "GB", "TB", "PB"];

export function formatSize(bytes: number | null): string {
  if (bytes === null) return "";
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const text = unit === 0 || value >= 100 ? value.toFixed(0) : value.toPrecision(2);
  return `${text} ${UNITS[unit]}`;
}

const STEPS: [seconds: number, unit: string][] = [
  [60, "s"],
  [60, "min"],
  [24, "h"],
  [365, "d"],
  [Infinity, "y"],
];

/** @param time ISO 8601 */
export function formatAge(time: string | null, now: number = Date.now()): string {
  if (!time) return "";
  let value = Math.max(0, (now - Date.parse(time)) / 1000);
  if (Number.isNaN(value)) return "";
  for (const [limit, unit] of STEPS) {
    if (value < limit) return `${Math.floor(value)} ${unit}`;
    value /= limit;
  }
  return "";
}

/** @param seconds a duration */
export function formatDuration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${whole % 60} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** Local date and time, to the second. */
export function formatTime(time: string | null): string {
  return time ? new Date(time).toLocaleString() : "";
}
