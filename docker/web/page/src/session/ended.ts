/** Asks the hub, which outlives the session, why it ended. */

import { endedUrl, type SessionPlace } from "./place";

export interface Ended {
  when: string;
  reason: string;
}

/** How often, with a second in between: a program may take that long to end. */
const TRIES = 15;

/** Null whenever it cannot be found out. */
export async function askWhy(
  place: SessionPlace,
  wait: (seconds: number) => Promise<void> = sleep,
): Promise<Ended | null> {
  for (let tries = 1; ; tries++) {
    const answer = await askOnce(place);
    if (answer !== "not yet") return answer;
    if (tries === TRIES) return null;
    await wait(1);
  }
}

async function askOnce(place: SessionPlace): Promise<Ended | "not yet" | null> {
  try {
    // The hub's own XSRF cookie is not this page's to read; JupyterHub asks for no token on
    // same-origin "no-cors" reads.
    const response = await fetch(endedUrl(place), {
      mode: "no-cors",
      credentials: "same-origin",
      signal: AbortSignal.timeout(5000),
    });
    if (!response.ok) return null;
    const answer = (await response.json()) as Partial<Ended> | null;
    return answer?.reason ? { when: answer.when ?? "", reason: answer.reason } : "not yet";
  } catch {
    return null;
  }
}

function sleep(seconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, seconds * 1000));
}
