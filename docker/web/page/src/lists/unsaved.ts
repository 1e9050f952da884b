/**
 * Unsaved edits, kept in the browser for each file: they survive a closed tab, a lost login and an
 * ended session.
 *
 * The key holds the session's own path: one browser is used by several people at a beamline.
 */

import type { DraftStep } from "./draft";

export interface Unsaved {
  steps: DraftStep[];
  /** The version of the file that the edits were made to; null for a new list. */
  etag: string | null;
  /** ISO 8601 */
  when: string;
}

const PREFIX = "savu-unsaved:";

function keyOf(filename: string): string {
  return `${PREFIX}${new URL(".", document.baseURI).pathname}:${filename}`;
}

/** Silently does nothing if the browser keeps no data (private windows, full storage). */
export function keepUnsaved(filename: string, unsaved: Unsaved): void {
  try {
    localStorage.setItem(keyOf(filename), JSON.stringify(unsaved));
  } catch {
    // The page still has the edits; `beforeunload` asks before they are lost.
  }
}

export function dropUnsaved(filename: string): void {
  try {
    localStorage.removeItem(keyOf(filename));
  } catch {
    // See keepUnsaved.
  }
}

export function findUnsaved(filename: string): Unsaved | null {
  try {
    const text = localStorage.getItem(keyOf(filename));
    if (!text) return null;
    const parsed = JSON.parse(text) as Unsaved;
    return Array.isArray(parsed.steps) ? parsed : null;
  } catch {
    return null;
  }
}
