import { expect, test } from "vitest";
import { outputFolder } from "./outputFolder";

const visit = (name: string) => ({ name, path: `/data/${name}`, readable: true, group: name });

test("results go into the visit that the dataset is of", () => {
  const session = {
    visits: [visit("cm2-1"), visit("cm1-1")],
    default_paths: { data: "", process_list: "", output: "/data/cm2-1/processing" },
  };
  expect(outputFolder("/data/cm1-1/raw/a.nxs", session)).toBe("/data/cm1-1/processing");
  expect(outputFolder("/data/cm2-1/raw/a.nxs", session)).toBe("/data/cm2-1/processing");
  expect(outputFolder("/data/cm1-10/raw/a.nxs", session)).toBe("/data/cm2-1/processing");
  expect(outputFolder("", session)).toBe("/data/cm2-1/processing");
  expect(outputFolder("/x", { ...session, visits: [] })).toBe("/data/cm2-1/processing");
});
