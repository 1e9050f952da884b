import type { Session } from "../services/types";
import { joinPath } from "../shared/paths";

/** Whether a path is the folder itself or lies below it. */
function isInside(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder.endsWith("/") ? folder : `${folder}/`);
}

/**
 * Where results of a dataset go unless the user says otherwise: the same folder of the dataset's
 * own visit as the session's default is of its visit.
 */
export function outputFolder(
  dataset: string,
  session: Pick<Session, "visits" | "default_paths">,
): string {
  const fallback = session.default_paths.output;
  const home = session.visits.find((visit) => isInside(fallback, visit.path));
  const visit = session.visits.find((item) => item.readable && isInside(dataset, item.path));
  if (!home || !visit || home === visit) return fallback;
  const below = fallback.slice(home.path.length).replace(/^\/+/, "");
  return below ? joinPath(visit.path, below) : visit.path;
}
