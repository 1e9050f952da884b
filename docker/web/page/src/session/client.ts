/** Requests to the session's services; the only place that calls `fetch`. */

import { showDataserverRestarting } from "../shared/notices";
import { classify } from "./answers";
import { monitor } from "./monitor";
import { LoginNeeded, Problem, SessionGone, Unreachable } from "./problems";
import { xsrfToken } from "./xsrf";

export interface RequestOptions {
  /** Completes "… did not work": "Saving the process list". */
  action: string;
  method?: string;
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal;
  /** Not a person's act: does not keep an idle session alive. */
  background?: boolean;
}

/** Absolute address of a path of the session, with query parameters. */
export function sessionUrl(path: string, params: Record<string, string | number> = {}): string {
  const url = new URL(path, document.baseURI);
  url.search = "";
  for (const [name, value] of Object.entries(params)) url.searchParams.set(name, String(value));
  return url.href;
}

/**
 * @throws {Problem} the service refused, or could not
 * @throws {LoginNeeded | SessionGone | Unreachable} and the monitor is told
 */
export async function request(url: string, options: RequestOptions): Promise<Response> {
  const response = await send(url, options);
  const verdict = classify(
    {
      status: response.status,
      url: response.url,
      contentType: response.headers.get("Content-Type") ?? "",
    },
    document.baseURI,
  );
  if (verdict === "login") {
    monitor.loginNeeded();
    throw new LoginNeeded(options.action);
  }
  if (verdict === "gone") {
    monitor.gone();
    throw new SessionGone(options.action);
  }
  if (verdict === "unreachable" || verdict === "foreign") {
    monitor.suspect();
    throw new Unreachable(options.action, "This part of the session does not answer just now.");
  }
  if (!response.ok) throw await failure(response, options.action);
  return response;
}

/** What nginx and the gate say when a part of the session itself does not answer. */
const SESSION_DOWN = new Set(["api-down", "gate-down", "gate-fault", "hub-unreachable"]);

async function failure(response: Response, action: string): Promise<Error> {
  const problem = await problemOf(response, action);
  if (problem.code === "xsrf") {
    // The token of another login: loading the page again sets the right one.
    monitor.loginNeeded();
    return new LoginNeeded(action);
  }
  if (SESSION_DOWN.has(problem.code)) {
    monitor.suspect();
    return new Unreachable(action, problem.message);
  }
  if (problem.code === "dataserver-down") {
    showDataserverRestarting();
    return new Unreachable(action, problem.message);
  }
  return problem;
}

export async function requestJson<T>(url: string, options: RequestOptions): Promise<T> {
  const response = await request(url, options);
  return (await response.json()) as T;
}

async function send(url: string, options: RequestOptions): Promise<Response> {
  const headers: Record<string, string> = {
    Accept: "application/json, application/problem+json;q=0.9, */*;q=0.5",
    "X-XSRFToken": xsrfToken(),
    ...options.headers,
  };
  if (options.body !== undefined) headers["Content-Type"] = "application/json";
  if (options.background) headers["X-Background"] = "1";
  try {
    return await fetch(url, {
      method: options.method ?? "GET",
      headers,
      body: options.body === undefined ? undefined : JSON.stringify(options.body),
      signal: options.signal,
      credentials: "same-origin",
    });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    monitor.suspect();
    throw new Unreachable(
      options.action,
      "No answer came. Is this computer connected to the network?",
    );
  }
}

async function problemOf(response: Response, action: string): Promise<Problem> {
  let document: Record<string, unknown> = {};
  try {
    const text = await response.text();
    document = parseProblem(text);
  } catch {
    // An answer cut off half-way still has its status.
  }
  return new Problem(action, response.status, document);
}

function parseProblem(text: string): Record<string, unknown> {
  try {
    const parsed: unknown = JSON.parse(text);
    if (parsed && typeof parsed === "object") return parsed as Record<string, unknown>;
  } catch {
    // Plain text: shown as it is.
  }
  return text.length < 500 ? { detail: text.trim() } : {};
}
