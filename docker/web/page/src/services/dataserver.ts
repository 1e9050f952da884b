/** The routes of the data server: h5grove's metadata and values, and pictures of slices. */

import { request, requestJson, sessionUrl } from "../session/client";

export interface H5Attribute {
  name: string;
  shape: number[] | null;
}

/** An entity as h5grove describes it; only what is used here. */
export interface H5Entity {
  name: string;
  kind: "group" | "dataset" | "datatype" | "soft_link" | "external_link" | "other";
  attributes?: H5Attribute[];
  children?: H5Entity[];
  shape?: number[] | null;
  type?: unknown;
  dtype?: string;
}

export function getEntity(file: string, path: string, signal?: AbortSignal): Promise<H5Entity> {
  return requestJson(sessionUrl("data/h5grove/meta/", { file, path }), {
    action: "Reading what the file holds",
    signal,
  });
}

export function getAttributes(
  file: string,
  path: string,
  signal?: AbortSignal,
): Promise<Record<string, unknown>> {
  return requestJson(sessionUrl("data/h5grove/attr/", { file, path }), {
    action: "Reading attributes",
    signal,
  });
}

export function getValues<T = unknown>(
  file: string,
  path: string,
  signal?: AbortSignal,
): Promise<T> {
  return requestJson(sessionUrl("data/h5grove/data/", { file, path, format: "json" }), {
    action: `Reading ${path}`,
    signal,
  });
}

export interface SliceRequest {
  file: string;
  dataset: string;
  /** One index an axis; null takes the whole axis. */
  indices: (number | null)[];
  window: Window;
}

/** Which values are drawn black and white: percentiles of the slice, or fixed values. */
export type Window = { percentiles: [low: number, high: number] } | { values: [number, number] };

/** Columns at most: more than a screen shows is reduced on the server. */
const WIDTH = 1400;

export function sliceUrl({ file, dataset, indices, window }: SliceRequest): string {
  const slice = indices.map((index) => (index === null ? ":" : String(index))).join(",");
  const contrast: Record<string, string | number> =
    "values" in window
      ? { low: window.values[0], high: window.values[1] }
      : { histo: `OUTLIER_VALUES:${window.percentiles.join("-")}` };
  const params = { path: file, dataset, slice, format: "PNG", width: WIDTH, ...contrast };
  return sessionUrl("data/slice", params);
}

export interface Picture {
  bitmap: ImageBitmap;
  /** The values drawn black and white; null if the server does not say. */
  window: [low: number, high: number] | null;
}

export async function getPicture(url: string, signal?: AbortSignal): Promise<Picture> {
  const response = await request(url, {
    action: "Showing this slice",
    signal,
    headers: { Accept: "image/png, application/problem+json" },
  });
  const low = Number.parseFloat(response.headers.get("X-Slice-Min") ?? "");
  const high = Number.parseFloat(response.headers.get("X-Slice-Max") ?? "");
  return {
    bitmap: await createImageBitmap(await response.blob()),
    window: Number.isNaN(low) || Number.isNaN(high) ? null : [low, high],
  };
}
