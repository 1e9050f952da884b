/** The list of jobs, kept up to date by events: pure functions. */

import type { Job, JobState, QueuedJob, Queue } from "../services/types";

export function keyOf({ queue, job }: { queue: Queue; job: Pick<Job, "id"> }): string {
  return `${queue}/${job.id}`;
}

export function splitKey(key: string): { queue: Queue; id: string } | null {
  const at = key.indexOf("/");
  const queue = key.slice(0, at);
  if (queue !== "preview" && queue !== "full") return null;
  return { queue, id: key.slice(at + 1) };
}

/** The job takes the place of its former self, or comes first: newest first. */
export function withJob(jobs: QueuedJob[], changed: QueuedJob): QueuedJob[] {
  const key = keyOf(changed);
  const at = jobs.findIndex((item) => keyOf(item) === key);
  if (at >= 0) return jobs.with(at, changed);
  return [...jobs, changed].sort((a, b) => b.job.submitted.localeCompare(a.job.submitted));
}

export function withoutJob(jobs: QueuedJob[], key: string): QueuedJob[] {
  return jobs.filter((item) => keyOf(item) !== key);
}

export function isFinished(state: JobState): boolean {
  return state === "completed" || state === "failed" || state === "cancelled";
}

/** Seconds from start to end, or until now; null if it has not started. */
export function elapsed(job: Job, now: number = Date.now()): number | null {
  if (!job.started) return null;
  const end = job.ended ? Date.parse(job.ended) : now;
  return Math.max(0, (end - Date.parse(job.started)) / 1000);
}

export const STATE_WORDS: Record<JobState, { label: string; color: string }> = {
  queued: { label: "Queued", color: "gray" },
  running: { label: "Running", color: "blue" },
  completed: { label: "Completed", color: "teal" },
  failed: { label: "Failed", color: "red" },
  cancelled: { label: "Cancelled", color: "yellow" },
};

export const QUEUE_WORDS: Record<Queue, string> = {
  preview: "Preview",
  full: "Everything",
};

/** One sentence for what the job is doing. */
export function headline(job: Job): string {
  switch (job.state) {
    case "queued":
      return job.position !== null && job.position > 1
        ? `Number ${job.position} in the queue`
        : "Next in the queue";
    case "running": {
      const { plugin, step, steps } = job.progress;
      if (!plugin) return "Starting";
      return steps > 0 ? `${plugin} (step ${step} of ${steps})` : plugin;
    }
    case "completed":
      return "The result is ready";
    default:
      return job.message;
  }
}

/**
 * The detector row that a slice was reconstructed from; null where that cannot be told.
 *
 * @param slices how many slices the result has
 * @param detectorRows how many rows the raw data has
 */
export function detectorRow(
  slice: number,
  slices: number,
  detectorRows: number,
  rows: Job["rows"],
): number | null {
  if (rows && rows.stop - rows.start === slices && rows.total === detectorRows) {
    return rows.start + slice;
  }
  return slices === detectorRows ? slice : null;
}
