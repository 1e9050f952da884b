import { useQuery, useQueryClient, type QueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { getJobs } from "../services/api";
import type { QueuedJob } from "../services/types";
import { sessionUrl } from "../session/client";
import { monitor } from "../session/monitor";
import { xsrfToken } from "../session/xsrf";
import { withJob } from "./jobs";

const KEY = ["jobs"];

interface Jobs {
  jobs: QueuedJob[];
}

export function useJobs() {
  return useQuery({
    queryKey: KEY,
    queryFn: ({ signal }) => getJobs(signal),
    staleTime: Infinity,
  });
}

export function applyJob(queries: QueryClient, changed: QueuedJob): void {
  queries.setQueryData<Jobs>(KEY, (before) => ({ jobs: withJob(before?.jobs ?? [], changed) }));
}

/**
 * Milliseconds without a heartbeat (one every 3 s) after which the stream is given up: the hub's
 * proxy keeps it open although the session behind it has ended.
 */
const SILENCE = 8000;

/** Keeps the list of jobs current while the page is open. */
export function useJobEvents(): void {
  const queries = useQueryClient();
  useEffect(() => {
    let source: EventSource | null = null;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let silence: ReturnType<typeof setTimeout> | undefined;
    let stopped = false;

    const heard = () => {
      clearTimeout(silence);
      silence = setTimeout(giveUp, SILENCE);
    };

    const giveUp = () => {
      clearTimeout(silence);
      source?.close();
      if (!stopped) void reopen();
    };

    const open = () => {
      // EventSource cannot send headers: the token goes into the address.
      source = new EventSource(sessionUrl("api/jobs/events", { _xsrf: xsrfToken() }));
      heard();
      source.addEventListener("heartbeat", heard);
      source.addEventListener("job", (event: MessageEvent<string>) => {
        heard();
        applyJob(queries, JSON.parse(event.data) as QueuedJob);
      });
      source.addEventListener("open", () => void queries.invalidateQueries({ queryKey: KEY }));
      source.addEventListener("error", giveUp);
    };

    // The stream also ends when the session does, which is how an idle tab learns of it.
    const reopen = async () => {
      await monitor.suspect();
      if (stopped || monitor.state !== "running") return;
      timer = setTimeout(open, 1000);
    };

    open();
    return () => {
      stopped = true;
      clearTimeout(timer);
      clearTimeout(silence);
      source?.close();
    };
  }, [queries]);
}
