/** The routes of the session's API, one function each. */

import { request, requestJson, sessionUrl } from "../session/client";
import type {
  Check,
  Folder,
  ListBody,
  Plugin,
  ProcessList,
  Queue,
  QueuedJob,
  Session,
  Submission,
} from "./types";

export const PAGE_OF_ENTRIES = 500;

export function getSession(signal?: AbortSignal): Promise<Session> {
  return requestJson(sessionUrl("api/session"), { action: "Opening the session", signal });
}

export function getFolder(path: string, offset: number, signal?: AbortSignal): Promise<Folder> {
  return requestJson(sessionUrl("api/files", { path, offset, limit: PAGE_OF_ENTRIES }), {
    action: "Listing the folder",
    signal,
  });
}

/** For a plain link: the browser downloads it by itself. */
export function downloadUrl(path: string): string {
  return sessionUrl("api/files/content", { path });
}

export function getPluginNames(signal?: AbortSignal): Promise<string[]> {
  return requestJson(sessionUrl("api/plugin"), { action: "Reading the plugin catalogue", signal });
}

export function getPlugin(name: string, signal?: AbortSignal): Promise<Plugin> {
  return requestJson(sessionUrl(`api/plugin/${encodeURIComponent(name)}`), {
    action: `Reading about ${name}`,
    signal,
  });
}

/** A process list and the version of the file that it was read from. */
export interface VersionedList {
  list: ProcessList;
  etag: string | null;
}

async function versioned(response: Response): Promise<VersionedList> {
  return { list: (await response.json()) as ProcessList, etag: response.headers.get("ETag") };
}

export async function getList(filename: string, signal?: AbortSignal): Promise<VersionedList> {
  const url = sessionUrl("api/process_list", { filename });
  return versioned(await request(url, { action: "Opening the process list", signal }));
}

/** @param etag the version that the changes were made to; null overwrites whatever is there */
export async function saveList(
  filename: string,
  body: ListBody,
  etag: string | null,
): Promise<VersionedList> {
  const url = sessionUrl("api/process_list", { filename });
  const headers: Record<string, string> = etag ? { "If-Match": etag } : {};
  return versioned(
    await request(url, { action: "Saving the process list", method: "PUT", body, headers }),
  );
}

export async function createList(filename: string, body: ListBody): Promise<VersionedList> {
  const url = sessionUrl("api/process_list", { filename });
  return versioned(
    await request(url, { action: "Saving the process list", method: "POST", body }),
  );
}

export function checkList(body: ListBody, signal?: AbortSignal): Promise<Check> {
  return requestJson(sessionUrl("api/process_list/check"), {
    action: "Checking the process list",
    method: "POST",
    body,
    signal,
  });
}

export function getJobs(signal?: AbortSignal): Promise<{ jobs: QueuedJob[] }> {
  return requestJson(sessionUrl("api/jobs"), {
    action: "Listing the jobs",
    signal,
    background: true,
  });
}

export function submitJob(queue: Queue, submission: Submission): Promise<QueuedJob> {
  return requestJson(sessionUrl(`api/jobs/${queue}/submit`), {
    action: "Starting the job",
    method: "POST",
    body: submission,
  });
}

export function cancelJob(queue: Queue, id: string): Promise<QueuedJob> {
  return requestJson(sessionUrl(`api/jobs/${queue}/${encodeURIComponent(id)}/cancel`), {
    action: "Cancelling the job",
    method: "POST",
  });
}

export async function forgetJob(queue: Queue, id: string): Promise<void> {
  await request(sessionUrl(`api/jobs/${queue}/${encodeURIComponent(id)}`), {
    action: "Removing the job from the list",
    method: "DELETE",
  });
}

export function getJobLog(
  queue: Queue,
  id: string,
  signal?: AbortSignal,
): Promise<{ lines: string[]; truncated: boolean }> {
  return requestJson(sessionUrl(`api/jobs/${queue}/${encodeURIComponent(id)}/log`, { tail: 200 }), {
    action: "Reading the job's log",
    signal,
    background: true,
  });
}
