/** Finds the data of a tomogram in any HDF5 file: tolerant, bounded, by shape and by name. */

import type { H5Entity } from "../services/dataserver";

export interface Volume {
  path: string;
  shape: number[];
}

/** A dataset of one value. */
export interface Scalar {
  path: string;
  hasUnits: boolean;
}

export interface FileContents {
  volumes: Volume[];
  scalars: Scalar[];
  /** One value a frame: 0 projection, 1 flat, 2 dark. */
  imageKeys: Volume[];
  angles: Volume[];
  /** Not everything was looked at. */
  truncated: boolean;
}

export interface Tomogram {
  data: Volume;
  imageKey: string | null;
  angles: string | null;
  /** Raw frames (frame, row, column), or a volume that was computed. */
  kind: "frames" | "volume";
}

type Look = (path: string) => Promise<H5Entity>;

const MAX_GROUPS = 150;
const MAX_DEPTH = 7;

/** Walks the groups of a file, level by level. A group that cannot be read is left out. */
export async function surveyFile(look: Look): Promise<FileContents> {
  const contents: FileContents = {
    volumes: [],
    scalars: [],
    imageKeys: [],
    angles: [],
    truncated: false,
  };
  let level = ["/"];
  let seen = 0;
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth > MAX_DEPTH || seen + level.length > MAX_GROUPS) {
      contents.truncated = true;
      level = level.slice(0, Math.max(0, MAX_GROUPS - seen));
      if (depth > MAX_DEPTH || level.length === 0) break;
    }
    seen += level.length;
    const found = await Promise.allSettled(level.map(look));
    // The file itself cannot be opened: that is for the caller to say.
    if (depth === 0 && found[0]?.status === "rejected") throw found[0].reason;
    const next: string[] = [];
    found.forEach((outcome, index) => {
      if (outcome.status !== "fulfilled") return;
      const path = level[index] ?? "/";
      for (const child of outcome.value.children ?? []) {
        const childPath = path === "/" ? `/${child.name}` : `${path}/${child.name}`;
        if (child.kind === "group") next.push(childPath);
        else if (child.kind === "dataset") sortDataset(contents, childPath, child);
      }
    });
    level = next;
  }
  return contents;
}

function sortDataset(contents: FileContents, path: string, entity: H5Entity): void {
  const shape = entity.shape ?? [];
  // An empty dataset has no shape at all (null); a scalar has one without axes.
  if (Array.isArray(entity.shape) && shape.reduce((product, size) => product * size, 1) === 1) {
    const hasUnits = entity.attributes?.some(({ name }) => name === "units") ?? false;
    contents.scalars.push({ path, hasUnits });
  } else if (shape.length >= 3 && shape.every((size) => size > 0)) contents.volumes.push({ path, shape });
  else if (shape.length === 1 && entity.name === "image_key") contents.imageKeys.push({ path, shape });
  else if (shape.length === 1 && entity.name === "rotation_angle") contents.angles.push({ path, shape });
}

const PREFERENCES: [pattern: RegExp, score: number][] = [
  [/^\/entry1\/tomo_entry\/data\/data$/, 60],
  [/^\/entry\/final_result_[^/]+\/data$/, 50],
  [/\/instrument\/detector\/data$/, 30],
  [/\/data\/data$/, 25],
  [/\/data$/, 10],
  [/\/intermediate\//, -20],
];

/** How likely a dataset is what people want to see first. */
function score(volume: Volume): number {
  const preference = PREFERENCES.find(([pattern]) => pattern.test(volume.path))?.[1] ?? 0;
  return preference - (volume.shape.length > 3 ? 5 : 0);
}

/** Best first. */
export function rankVolumes(contents: FileContents): Volume[] {
  return contents.volumes.toSorted((a, b) => score(b) - score(a) || a.path.localeCompare(b.path));
}

export function describeVolume(contents: FileContents, data: Volume): Tomogram {
  const frames = data.shape[0];
  const imageKey = closest(contents.imageKeys, data, frames);
  const angles = closest(contents.angles, data, frames);
  const computed = /final_result_|\/intermediate\//.test(data.path);
  return {
    data,
    imageKey: computed ? null : imageKey,
    angles: computed ? null : angles,
    kind: computed || (!imageKey && !angles) ? "volume" : "frames",
  };
}

/** The candidate of the right length that shares most of its path with the data. */
function closest(candidates: Volume[], data: Volume, length: number | undefined): string | null {
  const fitting = candidates.filter((candidate) => candidate.shape[0] === length);
  const ranked = fitting.toSorted((a, b) => shared(b.path, data.path) - shared(a.path, data.path));
  return ranked[0]?.path ?? null;
}

function shared(one: string, other: string): number {
  let count = 0;
  while (count < one.length && one[count] === other[count]) count += 1;
  return count;
}

export type FrameKind = "projection" | "flat" | "dark" | "unknown";

export function frameKind(key: number | undefined): FrameKind {
  return ({ 0: "projection", 1: "flat", 2: "dark" } as const)[key ?? -1] ?? "unknown";
}

/** A frame that shows the object: the middle one of the projections. */
export function middleProjection(keys: number[] | null, frames: number): number {
  const projections = (keys ?? []).flatMap((key, index) => (key === 0 ? [index] : []));
  return projections[Math.floor(projections.length / 2)] ?? Math.floor(frames / 2);
}

/** Which axis of a reconstruction numbers its slices: the vertical one. */
export function sliceAxis(axes: unknown, shape: number[]): number {
  if (Array.isArray(axes)) {
    const at = axes.findIndex((axis) => /(^|_)y$/.test(String(axis)));
    if (at >= 0 && at < shape.length) return at;
  }
  return shape.length >= 3 ? 1 : 0;
}

/** Everything else than two axes of a picture is held at an index. */
export function indicesFor(shape: number[], axis: number, index: number): (number | null)[] {
  return shape.map((size, at) => {
    if (at === axis) return Math.min(Math.max(index, 0), size - 1);
    return at < 3 ? null : 0;
  });
}
