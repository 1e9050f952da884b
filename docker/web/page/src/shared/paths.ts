/** Absolute POSIX paths, as text. */

export function baseName(path: string): string {
  return path.slice(path.replace(/\/+$/, "").lastIndexOf("/") + 1);
}

export function folderOf(path: string): string {
  const end = path.lastIndexOf("/");
  return end <= 0 ? "/" : path.slice(0, end);
}

export function joinPath(folder: string, name: string): string {
  return folder.endsWith("/") ? folder + name : `${folder}/${name}`;
}

/** Each folder from the root down to the path itself. */
export function ancestors(path: string): { name: string; path: string }[] {
  const parts = path.split("/").filter(Boolean);
  const crumbs = [{ name: "/", path: "/" }];
  let walked = "";
  for (const part of parts) {
    walked += `/${part}`;
    crumbs.push({ name: part, path: walked });
  }
  return crumbs;
}

/** What people paste: quotes, `file://`, blanks and a trailing slash removed. */
export function cleanPath(text: string): string {
  let path = text.trim().replace(/^(['"])(.*)\1$/, "$2");
  path = path.replace(/^file:\/\//, "");
  return path.length > 1 ? path.replace(/\/+$/, "") : path;
}
