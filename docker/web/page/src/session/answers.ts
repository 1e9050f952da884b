/** Tells an answer of the session's services from one of the hub or the proxy in front of it. */

/**
 * `foreign`: something else than a service spoke (a page of the hub, the proxy or nginx); what that
 * means depends on what was asked.
 */
export type Verdict = "answered" | "login" | "gone" | "foreign" | "unreachable";

export interface AnswerFacts {
  status: number;
  /** Where the answer came from, after redirects; "" if unknown. */
  url: string;
  contentType: string;
}

/**
 * @param base the page's own address, below which every service lives
 */
export function classify(answer: AnswerFacts, base: string): Verdict {
  if (answer.url && !isBelow(answer.url, base)) return "gone";
  if (answer.status === 401) return "login";
  // JupyterHub answers 424 to API requests for a server that is not running.
  if (answer.status === 424) return "gone";
  const html = answer.contentType.includes("text/html");
  const problem = answer.contentType.includes("problem+json");
  if ([502, 503, 504].includes(answer.status) && !problem) return "unreachable";
  // The services speak JSON, plain text and pictures, never HTML.
  if (html) return answer.status >= 500 ? "unreachable" : "foreign";
  return "answered";
}

function isBelow(url: string, base: string): boolean {
  const place = new URL(url, base);
  const root = new URL(".", base);
  return place.origin === root.origin && place.pathname.startsWith(root.pathname);
}
