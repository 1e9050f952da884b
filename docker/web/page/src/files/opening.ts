import { useQueryClient } from "@tanstack/react-query";
import { useCallback } from "react";
import { useLocation } from "../location";
import { downloadUrl, getFolder } from "../services/api";
import type { Entry } from "../services/types";
import { Problem, hasStatus } from "../session/problems";
import { showDownload } from "../shared/notices";
import { baseName, folderOf } from "../shared/paths";

/** What opening an entry means: a folder is listed, data is shown, a process list is edited. */
export function useOpenEntry(): (entry: Entry) => void {
  const [, go] = useLocation();
  const queries = useQueryClient();
  return useCallback(
    (entry: Entry) => {
      switch (entry.type) {
        case "folder":
          go({ folder: entry.path });
          break;
        case "data":
          go({ view: "data", data: entry.path });
          break;
        case "process_list":
          void queries.invalidateQueries({ queryKey: ["list", entry.path] });
          go({ view: "list", list: entry.path });
          break;
        case "file":
          showDownload(entry.name, downloadUrl(entry.path));
      }
    },
    [go, queries],
  );
}

/**
 * What lies at a path that somebody typed.
 *
 * @throws {Problem} 404 if there is nothing, 403 if it may not be seen
 */
export async function findEntry(path: string): Promise<Entry | "folder"> {
  if (/\.\w{1,5}$/.test(path)) {
    const entry = await entryInParent(path).catch(() => null);
    if (entry) return entry.type === "folder" ? "folder" : entry;
  }
  try {
    await getFolder(path, 0);
    return "folder";
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    if (hasStatus(error, 403)) throw error;
    const entry = await entryInParent(path);
    if (!entry) throw error;
    return entry;
  }
}

async function entryInParent(path: string): Promise<Entry | null> {
  const name = baseName(path);
  let offset = 0;
  for (;;) {
    const page = await getFolder(folderOf(path), offset);
    const entry = page.entries.find((item) => item.name === name);
    if (entry) return entry;
    offset += page.entries.length;
    if (page.entries.length === 0 || offset >= page.total) return null;
  }
}
