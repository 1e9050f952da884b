import { Group, SegmentedControl, Stack, Text } from "@mantine/core";
import { useState } from "react";
import { Contrast, FULL_CONTRAST } from "../data/Contrast";
import { IndexSlider } from "../data/IndexSlider";
import { Caption, SlicePicture } from "../data/SlicePicture";
import {
  describeVolume,
  indicesFor,
  middleProjection,
  rankVolumes,
  sliceAxis,
} from "../data/tomogram";
import { useGroupAttributes, useNumbers, useSurvey } from "../data/useTomogram";
import type { Job } from "../services/types";
import { ProblemAlert } from "../shared/ProblemAlert";
import { detectorRow } from "./jobs";

interface Props {
  job: Job;
  result: NonNullable<Job["result"]>;
}

/** A reconstructed slice beside the raw data of the same detector row. */
export function ResultView({ job, result }: Props) {
  const attributes = useGroupAttributes(result.path, result.dataset);
  const axis = sliceAxis(attributes.data?.axes, result.shape);
  const count = result.shape[axis] ?? 0;
  const [chosen, setChosen] = useState<number | null>(null);
  const [contrast, setContrast] = useState(FULL_CONTRAST);
  const [shown, setShown] = useState<[number, number] | null>(null);
  const slice = Math.min(chosen ?? Math.floor(count / 2), Math.max(0, count - 1));
  return (
    <Stack className="fill" gap="xs">
      <Group className="fill" wrap="nowrap" align="stretch" style={{ flexDirection: "row" }}>
        <Stack className="fill" gap={4}>
          <Group justify="center" mih={30}>
            <Text size="sm" fw={600}>
              Reconstruction
            </Text>
          </Group>
          <SlicePicture
            onWindow={setShown}
            label={`Reconstructed slice ${slice}`}
            slice={{
              file: result.path,
              dataset: result.dataset,
              indices: indicesFor(result.shape, axis, slice),
              window: contrast,
            }}
          />
          <Caption>
            Slice {slice}, {result.shape.filter((_, at) => at !== axis).join(" × ")}
          </Caption>
        </Stack>
        <RawData job={job} slice={slice} slices={count} />
      </Group>
      <IndexSlider label="Slice" value={slice} count={count} onChange={setChosen} />
      <Contrast shown={shown} value={contrast} onChange={setContrast} />
    </Stack>
  );
}

function RawData({ job, slice, slices }: { job: Job; slice: number; slices: number }) {
  const file = job.dataset;
  const survey = useSurvey(file);
  const contents = survey.data;
  const volume = contents && rankVolumes(contents)[0];
  const tomogram = volume ? describeVolume(contents, volume) : null;
  const [kind, setKind] = useState<"frame" | "sinogram">("frame");
  const keys = useNumbers(file, tomogram?.imageKey ?? null).data ?? null;
  if (survey.isError) return <ProblemAlert error={survey.error} />;
  if (!tomogram) {
    return (
      <Text className="fill" c="dimmed" ta="center">
        {survey.isPending ? "Reading the raw data…" : "The dataset holds no frames to show."}
      </Text>
    );
  }
  const { shape, path } = tomogram.data;
  const [frames = 0, rows = 0] = shape;
  const row = detectorRow(slice, slices, rows, job.rows);
  const frame = middleProjection(keys, frames);
  const sinogram = kind === "sinogram" && row !== null;
  return (
    <Stack className="fill" gap={4}>
      <Group justify="center" gap="xs" mih={30}>
        <Text size="sm" fw={600}>
          Raw data
        </Text>
        {row !== null && (
          <SegmentedControl
            aria-label="Raw data shown"
            size="xs"
            value={kind}
            onChange={(value) => setKind(value as "frame" | "sinogram")}
            data={[
              { value: "frame", label: "Frame" },
              { value: "sinogram", label: "Sinogram" },
            ]}
          />
        )}
      </Group>
      <SlicePicture
        label={sinogram ? `Raw sinogram of row ${row}` : `Raw frame ${frame}`}
        slice={{
          file,
          dataset: path,
          indices: sinogram ? indicesFor(shape, 1, row) : indicesFor(shape, 0, frame),
          window: FULL_CONTRAST,
        }}
        mark={row !== null && !sinogram ? (row + 0.5) / rows : undefined}
        stretch={sinogram}
      />
      <Caption>
        {sinogram
          ? `Sinogram of row ${row}`
          : `Projection ${frame}${row !== null ? `, line at row ${row}` : ""}`}
      </Caption>
    </Stack>
  );
}
