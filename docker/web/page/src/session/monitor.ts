/**
 * Whether the session is still there.
 *
 * A request that nobody answers makes the monitor *suspect*: it asks the session again for a few
 * seconds, then calls it ended. It never goes on for ever.
 */

import { classify } from "./answers";
import { xsrfToken } from "./xsrf";

export type SessionState = "running" | "suspected" | "login-needed" | "ended";

/** Seconds before each further try; about eight altogether. */
const TRIES = [0.3, 0.7, 1.5, 2.5, 3];

export class SessionMonitor {
  private current: SessionState = "running";
  private readonly listeners = new Set<() => void>();
  private pending: Promise<void> | null = null;

  constructor(
    private readonly probe: () => Promise<SessionState> = askSession,
    private readonly wait: (seconds: number) => Promise<void> = sleep,
  ) {}

  get state(): SessionState {
    return this.current;
  }

  readonly getState = (): SessionState => this.current;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  loginNeeded(): void {
    if (this.current !== "ended") this.become("login-needed");
  }

  gone(): void {
    this.become("ended");
  }

  /** Somebody did not answer: find out whether the session still does. */
  suspect(): Promise<void> {
    if (this.current === "ended" || this.current === "login-needed") return Promise.resolve();
    this.pending ??= this.investigate().finally(() => {
      this.pending = null;
    });
    return this.pending;
  }

  private async investigate(): Promise<void> {
    for (const seconds of TRIES) {
      await this.wait(seconds);
      const answer = await this.probe();
      if (answer !== "suspected") {
        this.become(answer);
        return;
      }
      this.become("suspected");
    }
    this.become("ended");
  }

  private become(state: SessionState): void {
    if (state === this.current) return;
    this.current = state;
    for (const listener of this.listeners) listener();
  }
}

async function askSession(): Promise<SessionState> {
  try {
    const response = await fetch(new URL("api/session", document.baseURI), {
      headers: { "X-XSRFToken": xsrfToken(), "X-Background": "1", Accept: "application/json" },
      signal: AbortSignal.timeout(3000),
      cache: "no-store",
    });
    const verdict = classify(
      {
        status: response.status,
        url: response.url,
        contentType: response.headers.get("Content-Type") ?? "",
      },
      document.baseURI,
    );
    if (verdict === "gone" || verdict === "foreign") return "ended";
    if (verdict === "login") return "login-needed";
    // The session's own account of itself: whatever is no success here is a part that is down.
    return verdict === "answered" && response.ok ? "running" : "suspected";
  } catch {
    return "suspected";
  }
}

function sleep(seconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, seconds * 1000));
}

export const monitor = new SessionMonitor();
