/**
 * Where on the page one is, kept in the address's query: it survives reload, bookmarks and the
 * way through the login page (which a fragment would not).
 */

import { useCallback, useSyncExternalStore } from "react";

export const VIEWS = ["data", "list", "jobs"] as const;
export type View = (typeof VIEWS)[number];

export interface Location {
  view: View;
  /** The folder listed in the file browser. */
  folder: string | null;
  /** The data file that is open. */
  data: string | null;
  /** The process list that is open; "" is a new one without a file. */
  list: string | null;
  /** The job that is open: `queue/id`. */
  job: string | null;
}

const FIELDS = ["folder", "data", "list", "job"] as const;

export function parseLocation(search: string): Location {
  const query = new URLSearchParams(search);
  const view = query.get("view");
  return {
    view: VIEWS.includes(view as View) ? (view as View) : "data",
    folder: query.get("folder"),
    data: query.get("data"),
    list: query.get("list"),
    job: query.get("job"),
  };
}

export function formatLocation(location: Location): string {
  const query = new URLSearchParams({ view: location.view });
  for (const field of FIELDS) {
    const value = location[field];
    if (value !== null) query.set(field, value);
  }
  // Slashes are fine in a query, and paths are easier to read with them.
  return `?${query.toString().replaceAll("%2F", "/")}`;
}

const listeners = new Set<() => void>();

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  window.addEventListener("popstate", listener);
  return () => {
    listeners.delete(listener);
    window.removeEventListener("popstate", listener);
  };
}

export type Go = (change: Partial<Location>, how?: "push" | "replace") => void;

export function useLocation(): [Location, Go] {
  const search = useSyncExternalStore(subscribe, () => window.location.search);
  const go = useCallback<Go>((change, how = "push") => {
    const next = formatLocation({ ...parseLocation(window.location.search), ...change });
    if (next === window.location.search) return;
    if (how === "push") window.history.pushState(null, "", next);
    else window.history.replaceState(null, "", next);
    for (const listener of listeners) listener();
  }, []);
  return [parseLocation(search), go];
}
