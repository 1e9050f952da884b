import { Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef } from "react";
import { getJobLog } from "../services/api";
import type { QueuedJob } from "../services/types";
import { ProblemAlert } from "../shared/ProblemAlert";
import { isFinished, keyOf } from "./jobs";

/** The last lines of the job's log, following its end unless one has scrolled up. */
export function JobLog({ item }: { item: QueuedJob }) {
  const { queue, job } = item;
  const finished = isFinished(job.state);
  const log = useQuery({
    queryKey: ["log", keyOf(item), finished],
    queryFn: ({ signal }) => getJobLog(queue, job.id, signal),
    refetchInterval: finished || job.state === "queued" ? false : 2000,
    staleTime: finished ? Infinity : 0,
  });
  const box = useRef<HTMLDivElement>(null);
  const follow = useRef(true);
  useEffect(() => {
    const element = box.current;
    if (element && follow.current) element.scrollTop = element.scrollHeight;
  }, [log.data]);
  if (log.isError) return <ProblemAlert error={log.error} onRetry={() => void log.refetch()} />;
  return (
    <div
      ref={box}
      className="scroll log"
      role="log"
      aria-label="Log of the job"
      tabIndex={0}
      onScroll={({ currentTarget: at }) => {
        follow.current = at.scrollHeight - at.scrollTop - at.clientHeight < 30;
      }}
    >
      {log.data?.truncated && (
        <Text size="xs" c="dimmed">
          Only the last lines are shown; the whole log is in the output folder.
        </Text>
      )}
      {log.data?.lines.length === 0 ? "The log is empty so far." : log.data?.lines.join("\n")}
    </div>
  );
}
