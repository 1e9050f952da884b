import { useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { createList, getList, saveList, type VersionedList } from "../services/api";
import type { ListBody } from "../services/types";
import { hasStatus } from "../session/problems";
import { monitor } from "../session/monitor";
import { EMPTY, bodyOf, draftOf, rekeyed, sameBody, type Draft } from "./draft";
import { dropUnsaved, findUnsaved, keepUnsaved } from "./unsaved";

/** What the file held when it was read or saved last. */
export interface Base {
  list: VersionedList["list"] | null;
  etag: string | null;
}

export const NEW_LIST: Base = { list: null, etag: null };

export type SaveOutcome = "saved" | "conflict" | "absent";

export interface ListEditor {
  draft: Draft;
  dirty: boolean;
  /** When the edits were made that came back from the browser's store; null if none did. */
  restored: string | null;
  change: (next: (draft: Draft) => Draft) => void;
  /** @throws RequestFailed for anything but a conflict or an absent file */
  save: (how?: { overwrite?: boolean }) => Promise<SaveOutcome>;
  /** @throws Problem 409 if the file exists */
  saveAs: (filename: string) => Promise<void>;
  /** Forgets the edits and shows what the file holds now. */
  reload: () => Promise<void>;
  /** Whether the file still is what is shown. */
  isCurrent: () => Promise<boolean>;
}

/**
 * The edits of one process list, and how they reach its file.
 *
 * @param filename absolute path; "" is a new list without a file
 */
export function useListEditor(filename: string, base: Base): ListEditor {
  const queries = useQueryClient();
  const [start] = useState(() => startOf(filename, base));
  const [draft, setDraft] = useState(start.draft);
  const [saved, setSaved] = useState(start.saved);
  const [restored, setRestored] = useState(start.restored);

  const body = useMemo(() => bodyOf(draft), [draft]);
  const dirty = !sameBody(body, saved.body);

  // What the file holds by now, for whoever was called before the page was drawn again.
  const latest = useRef(saved);
  const saving = useRef<Promise<unknown>>(Promise.resolve());

  /** Shows what the file holds; with `sent`, only if nothing was changed since that was sent. */
  const adopt = useCallback((answer: Base, sent?: ListBody) => {
    const next = answer.list ? draftOf(answer.list) : EMPTY;
    setDraft((before) =>
      sent && !sameBody(bodyOf(before), sent)
        ? before
        : { ...next, selected: sameSelection(before, next) },
    );
    latest.current = { body: bodyOf(next), etag: answer.etag };
    setSaved(latest.current);
    setRestored(null);
  }, []);

  useEffect(() => {
    if (dirty) {
      keepUnsaved(filename, {
        steps: draft.steps,
        etag: saved.etag,
        when: new Date().toISOString(),
      });
    } else {
      dropUnsaved(filename);
    }
  }, [filename, dirty, draft.steps, saved.etag]);

  // The file was read again and is another one: shown at once, unless there are edits to keep.
  useEffect(() => {
    if (base.etag !== saved.etag && !dirty) adopt(base);
    // Only a newly read file counts, not what was saved since.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [base]);

  useEffect(() => {
    if (!dirty) return;
    const guard = (event: BeforeUnloadEvent) => {
      // Once the session is gone the edits are in the browser's store, and leaving is the way on.
      if (monitor.state === "running" || monitor.state === "suspected") event.preventDefault();
    };
    window.addEventListener("beforeunload", guard);
    return () => window.removeEventListener("beforeunload", guard);
  }, [dirty]);

  const accept = (answer: VersionedList, sent?: ListBody) => {
    adopt(answer, sent);
    queries.setQueryData<VersionedList>(["list", filename], answer);
  };

  const saveNow = async (overwrite: boolean): Promise<SaveOutcome> => {
    // The save before this one may have done it already: Save, then at once Run.
    const { body: written, etag } = latest.current;
    if (etag !== saved.etag && sameBody(written, body)) return "saved";
    try {
      accept(await saveList(filename, body, overwrite ? null : etag), body);
      return "saved";
    } catch (error) {
      if (hasStatus(error, 412)) return "conflict";
      if (hasStatus(error, 404)) return "absent";
      throw error;
    }
  };

  return {
    draft,
    dirty,
    restored,
    change: setDraft,
    // One after another: two at once would be a conflict with oneself.
    save: ({ overwrite = false } = {}) => {
      const outcome = saving.current.then(() => saveNow(overwrite));
      saving.current = outcome.catch(() => undefined);
      return outcome;
    },
    saveAs: async (target) => {
      const answer = await createList(target, body);
      queries.setQueryData<VersionedList>(["list", target], answer);
      dropUnsaved(filename);
      latest.current = { body, etag: saved.etag };
      setSaved(latest.current);
    },
    reload: async () => {
      accept(filename ? await getList(filename) : { list: emptyList(), etag: null });
    },
    isCurrent: async () => {
      const { etag } = await getList(filename);
      const known = latest.current.etag;
      return etag === null || known === null || etag === known;
    },
  };
}

function emptyList(): VersionedList["list"] {
  return { filename: "", plugins: [], engines: [] };
}

function startOf(filename: string, base: Base) {
  const fromFile = base.list ? draftOf(base.list) : EMPTY;
  const savedBody = bodyOf(fromFile);
  const unsaved = findUnsaved(filename);
  if (unsaved) {
    const steps = rekeyed(unsaved.steps);
    const draft: Draft = { steps, selected: steps[0]?.key ?? null };
    if (!sameBody(bodyOf(draft), savedBody)) {
      // With the version that the edits were made to: saving notices if the file changed since.
      return { draft, saved: { body: savedBody, etag: unsaved.etag }, restored: unsaved.when };
    }
  }
  return { draft: fromFile, saved: { body: savedBody, etag: base.etag }, restored: null };
}

function sameSelection(before: Draft, next: Draft): string | null {
  const at = before.steps.findIndex((step) => step.key === before.selected);
  return (next.steps[at] ?? next.steps[0])?.key ?? null;
}
