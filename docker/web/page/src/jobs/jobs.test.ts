import { describe, expect, test } from "vitest";
import type { Job, QueuedJob } from "../services/types";
import { detectorRow, elapsed, headline, keyOf, splitKey, withJob, withoutJob } from "./jobs";

function job(id: string, change: Partial<Job> = {}): QueuedJob {
  return {
    queue: "full",
    job: {
      id,
      state: "running",
      running: true,
      successful: false,
      status: "running",
      message: "",
      process_list: "/v/list.nxs",
      dataset: "/v/scan.nxs",
      output: `/v/out_${id}`,
      output_dataset: null,
      result: null,
      logfile: null,
      engine: "builtin",
      submitted: `2026-11-24T10:00:0${id}Z`,
      started: null,
      ended: null,
      position: 0,
      progress: { percent: 0, plugin: "", plugin_percent: 0, step: 0, steps: 0 },
      ...change,
    },
  };
}

describe("the list of jobs", () => {
  test("replaces a job by its newer state, in its place", () => {
    const jobs = [job("2"), job("1")];
    const changed = withJob(jobs, job("1", { state: "completed" }));
    expect(changed.map(({ job: { id, state } }) => [id, state])).toEqual([
      ["2", "running"],
      ["1", "completed"],
    ]);
  });

  test("shows a new job first", () => {
    expect(withJob([job("2"), job("1")], job("3")).map((item) => item.job.id)).toEqual([
      "3",
      "2",
      "1",
    ]);
  });

  test("tells jobs of the same number in two queues apart", () => {
    const other: QueuedJob = { ...job("1"), queue: "preview" };
    expect(withJob([job("1")], other)).toHaveLength(2);
    expect(withoutJob([job("1"), other], keyOf(other))).toEqual([job("1")]);
    expect(splitKey(keyOf(other))).toEqual({ queue: "preview", id: "1" });
    expect(splitKey("nonsense")).toBeNull();
  });
});

describe("a job", () => {
  test("says what it does", () => {
    const progress = { percent: 40, plugin: "VoCentering", plugin_percent: 10, step: 2, steps: 5 };
    expect(headline(job("1", { progress }).job)).toBe("VoCentering (step 2 of 5)");
    expect(headline(job("1", { state: "queued", position: 3 }).job)).toBe("Number 3 in the queue");
    expect(headline(job("1", { state: "failed", message: "No flats." }).job)).toBe("No flats.");
  });

  test("counts from its start to its end", () => {
    const started = "2026-11-24T10:00:00Z";
    const now = Date.parse("2026-11-24T10:01:00Z");
    expect(elapsed(job("1").job, now)).toBeNull();
    expect(elapsed(job("1", { started }).job, now)).toBe(60);
    const ended = "2026-11-24T10:00:10Z";
    expect(elapsed(job("1", { started, ended }).job, now)).toBe(10);
  });
});

test("a slice is of the row with its number, or of a preview's rows, or of an unknown one", () => {
  expect(detectorRow(5, 128, 128, null)).toBe(5);
  expect(detectorRow(1, 4, 128, { start: 62, stop: 66, total: 128 })).toBe(63);
  expect(detectorRow(1, 3, 128, { start: 62, stop: 66, total: 128 })).toBeNull();
  expect(detectorRow(1, 64, 128, null)).toBeNull();
});
