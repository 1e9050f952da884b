/**
 * What can go wrong with a request, by who can mend it.
 *
 *     RequestFailed
 *     ├── Problem        the service answered, and says in a sentence what is wrong and what to do
 *     ├── LoginNeeded    the login has expired; logging in again mends it
 *     ├── SessionGone    the hub answered in place of the session: it has ended
 *     └── Unreachable    nobody answered; trying again may help
 */

export class RequestFailed extends Error {
  /** What the request was for: "Saving the process list". */
  readonly action: string;

  constructor(message: string, action: string) {
    super(message);
    this.name = new.target.name;
    this.action = action;
  }
}

export class Problem extends RequestFailed {
  readonly status: number;
  /** Short machine word of the service, or "". */
  readonly code: string;
  /** The whole problem document: some carry more members. */
  readonly document: Record<string, unknown>;

  constructor(action: string, status: number, document: Record<string, unknown>) {
    super(sentenceOf(document, status), action);
    this.status = status;
    this.code = typeof document.code === "string" ? document.code : "";
    this.document = document;
  }
}

export class LoginNeeded extends RequestFailed {
  constructor(action: string) {
    super("Your login has expired. Log in again; nothing you typed is lost.", action);
  }
}

export class SessionGone extends RequestFailed {
  constructor(action: string) {
    super("The session has ended.", action);
  }
}

export class Unreachable extends RequestFailed {
  constructor(action: string, message: string) {
    super(message, action);
  }
}

function sentenceOf(document: Record<string, unknown>, status: number): string {
  const { detail, title, message } = document;
  if (typeof detail === "string" && detail) return detail;
  if (Array.isArray(detail)) {
    // FastAPI's own answer to a request that does not fit its description.
    const parts = detail.map((item) => String((item as { msg?: unknown })?.msg ?? ""));
    const text = parts.filter(Boolean).join("; ");
    if (text) return text;
  }
  if (typeof message === "string" && message) return message;
  if (typeof title === "string" && title) return title;
  return `The service answered with status ${status}.`;
}

/** A title and a sentence for any error, for showing to the user. */
export function describe(error: unknown): { title: string; detail: string } {
  if (error instanceof RequestFailed) {
    return { title: `${error.action} did not work`, detail: error.message };
  }
  const detail = error instanceof Error ? error.message : String(error);
  return { title: "Something went wrong on this page", detail };
}

export function hasStatus(error: unknown, status: number): error is Problem {
  return error instanceof Problem && error.status === status;
}
