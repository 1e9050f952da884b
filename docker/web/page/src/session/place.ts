/** What the page's own address says: `/<base>/user/<name>/[<server>/]`. */

export interface SessionPlace {
  /** With a slash at both ends: where the hub's own pages are. */
  hub: string;
  user: string;
  /** Empty for the default server. */
  server: string;
}

/** The best guess before the session has said who it is, or when it never could. */
export function placeFromPath(pathname: string): SessionPlace {
  const match = /^(.*\/)user\/([^/]+)\/(?:([^/]+)\/)?/.exec(pathname);
  if (!match) return { hub: "/hub/", user: "", server: "" };
  const [, base = "/", user = "", server = ""] = match;
  return { hub: `${base}hub/`, user: decodeURIComponent(user), server: decodeURIComponent(server) };
}

export function startAgainUrl(place: SessionPlace, next: string): string {
  const user = encodeURIComponent(place.user);
  const server = place.server ? `/${encodeURIComponent(place.server)}` : "";
  return `${place.hub}spawn/${user}${server}?next=${encodeURIComponent(next)}`;
}

export function endedUrl(place: SessionPlace): string {
  const user = encodeURIComponent(place.user);
  return `${place.hub}savu/ended/${user}/${encodeURIComponent(place.server)}`;
}
