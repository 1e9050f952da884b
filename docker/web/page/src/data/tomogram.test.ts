import { describe, expect, test } from "vitest";
import type { H5Entity } from "../services/dataserver";
import {
  describeVolume,
  indicesFor,
  middleProjection,
  rankVolumes,
  sliceAxis,
  surveyFile,
} from "./tomogram";

type Tree = { [name: string]: Tree | number[] };

/** Answers as h5grove does: a group with its children, one level deep. */
function fileOf(tree: Tree) {
  return (path: string): Promise<H5Entity> => {
    let node: Tree | number[] | undefined = tree;
    for (const part of path.split("/").filter(Boolean)) {
      node = Array.isArray(node) ? undefined : node?.[part];
    }
    if (!node || Array.isArray(node)) return Promise.reject(new Error(`no group ${path}`));
    return Promise.resolve({
      name: path,
      kind: "group",
      children: Object.entries(node).map(([name, child]) =>
        Array.isArray(child)
          ? { name, kind: "dataset" as const, shape: child, attributes: [] }
          : { name, kind: "group" as const },
      ),
    });
  };
}

const SCAN: Tree = {
  entry1: {
    tomo_entry: {
      data: { data: [221, 128, 256], rotation_angle: [221] },
      instrument: { detector: { image_key: [221], data: [221, 128, 256] } },
      sample: { name: [], temperature: [1] },
    },
    other: { image_key: [5] },
  },
};

describe("a scan", () => {
  test("is found with its image key and angles", async () => {
    const contents = await surveyFile(fileOf(SCAN));
    const best = rankVolumes(contents)[0];
    expect(best?.path).toBe("/entry1/tomo_entry/data/data");
    expect(best && describeVolume(contents, best)).toEqual({
      data: { path: "/entry1/tomo_entry/data/data", shape: [221, 128, 256] },
      imageKey: "/entry1/tomo_entry/instrument/detector/image_key",
      angles: "/entry1/tomo_entry/data/rotation_angle",
      kind: "frames",
    });
    expect(contents.scalars.map((scalar) => scalar.path)).toEqual([
      "/entry1/tomo_entry/sample/name",
      "/entry1/tomo_entry/sample/temperature",
    ]);
  });

  test("opens at a frame that shows the object", () => {
    expect(middleProjection([2, 1, 0, 0, 0, 1], 6)).toBe(3);
    expect(middleProjection(null, 10)).toBe(5);
    expect(middleProjection([1, 1], 2)).toBe(1);
  });
});

describe("a result", () => {
  test("is preferred to its intermediate steps and its input", async () => {
    const contents = await surveyFile(
      fileOf({
        entry: {
          final_result_tomo: { data: [160, 32, 160] },
          intermediate: { "1-Dark": { data: [111, 32, 160] } },
          input_data: { tomo: { data: [111, 32, 160] } },
        },
      }),
    );
    const best = rankVolumes(contents)[0];
    expect(best?.path).toBe("/entry/final_result_tomo/data");
    expect(best && describeVolume(contents, best).kind).toBe("volume");
  });

  test("is sliced along the vertical axis", () => {
    const shape = [160, 32, 160];
    expect(sliceAxis(["voxel_x", "voxel_y", "voxel_z"], shape)).toBe(1);
    expect(sliceAxis(["voxel_y", "voxel_x", "voxel_z"], shape)).toBe(0);
    expect(sliceAxis(undefined, shape)).toBe(1);
    expect(indicesFor(shape, 1, 40)).toEqual([null, 31, null]);
    expect(indicesFor([4, 5, 6, 2], 0, 3)).toEqual([3, null, null, 0]);
  });
});

describe("a file", () => {
  test("that cannot be opened is an error, a group that cannot is left out", async () => {
    await expect(surveyFile(() => Promise.reject(new Error("broken")))).rejects.toThrow("broken");
    const whole = fileOf(SCAN);
    const contents = await surveyFile((path) =>
      path.endsWith("/instrument") ? Promise.reject(new Error("no")) : whole(path),
    );
    expect(contents.volumes).toHaveLength(1);
  });

  test("of very many groups is not read to its end", async () => {
    const many = Object.fromEntries(Array.from({ length: 400 }, (_, i) => [`g${i}`, {}]));
    let asked = 0;
    const look = fileOf(many);
    const contents = await surveyFile((path) => {
      asked += 1;
      return look(path);
    });
    expect(contents.truncated).toBe(true);
    expect(asked).toBeLessThanOrEqual(150);
  });
});
