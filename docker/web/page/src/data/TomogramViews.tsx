import { Group, SegmentedControl, Stack } from "@mantine/core";
import { useState } from "react";
import { Contrast, FULL_CONTRAST } from "./Contrast";
import { ImageKeyStrip } from "./ImageKeyStrip";
import { IndexSlider } from "./IndexSlider";
import { Caption, SlicePicture } from "./SlicePicture";
import {
  frameKind,
  indicesFor,
  middleProjection,
  sliceAxis,
  type FrameKind,
  type Tomogram,
} from "./tomogram";
import { useGroupAttributes, useNumbers } from "./useTomogram";

interface Props {
  file: string;
  tomogram: Tomogram;
}

const KIND_WORDS: Record<FrameKind, string> = {
  projection: "Projection",
  flat: "Flat field",
  dark: "Dark field",
  unknown: "Frame",
};

export function FramesView({ file, tomogram }: Props) {
  const { data, imageKey, angles } = tomogram;
  const frames = data.shape[0] ?? 0;
  const keys = useNumbers(file, imageKey).data ?? null;
  const degrees = useNumbers(file, angles).data ?? null;
  const [chosen, setChosen] = useState<number | null>(null);
  const [contrast, setContrast] = useState(FULL_CONTRAST);
  const [shown, setShown] = useState<[number, number] | null>(null);
  const frame = chosen ?? middleProjection(keys, frames);
  const angle = degrees?.[frame];
  const kind = KIND_WORDS[keys ? frameKind(keys[frame]) : "unknown"];
  return (
    <Stack className="fill" gap="xs">
      <SlicePicture
        onWindow={setShown}
        label={`Frame ${frame}`}
        slice={{
          file,
          dataset: data.path,
          indices: indicesFor(data.shape, 0, frame),
          window: contrast,
        }}
      />
      <Caption>
        {kind} {frame}
        {angle === undefined ? "" : ` at ${angle.toFixed(2)}°`}
      </Caption>
      {keys && <ImageKeyStrip keys={keys} current={frame} />}
      <IndexSlider label="Frame" value={frame} count={frames} onChange={setChosen} />
      <Contrast shown={shown} value={contrast} onChange={setContrast} />
    </Stack>
  );
}

export function SinogramView({ file, tomogram }: Props) {
  const { shape, path } = tomogram.data;
  const rows = shape[1] ?? 0;
  const [row, setRow] = useState(Math.floor(rows / 2));
  const [contrast, setContrast] = useState(FULL_CONTRAST);
  const [shown, setShown] = useState<[number, number] | null>(null);
  return (
    <Stack className="fill" gap="xs">
      <SlicePicture
        onWindow={setShown}
        label={`Sinogram of row ${row}`}
        slice={{ file, dataset: path, indices: indicesFor(shape, 1, row), window: contrast }}
        stretch
      />
      <Caption>
        Detector row {row}: frames from top to bottom, columns from left to right
      </Caption>
      <IndexSlider label="Row" value={row} count={rows} onChange={setRow} />
      <Contrast shown={shown} value={contrast} onChange={setContrast} />
    </Stack>
  );
}

export function VolumeView({ file, tomogram }: Props) {
  const { shape, path } = tomogram.data;
  const attributes = useGroupAttributes(file, path);
  const natural = sliceAxis(attributes.data?.axes, shape);
  const [chosenAxis, setAxis] = useState<number | null>(null);
  const axis = chosenAxis ?? natural;
  const [index, setIndex] = useState<number | null>(null);
  const [contrast, setContrast] = useState(FULL_CONTRAST);
  const [shown, setShown] = useState<[number, number] | null>(null);
  const count = shape[axis] ?? 0;
  const slice = Math.min(index ?? Math.floor(count / 2), Math.max(0, count - 1));
  return (
    <Stack className="fill" gap="xs">
      <SlicePicture
        onWindow={setShown}
        label={`Slice ${slice}`}
        slice={{ file, dataset: path, indices: indicesFor(shape, axis, slice), window: contrast }}
      />
      <Group justify="center">
        <SegmentedControl
          aria-label="Axis sliced"
          size="xs"
          value={String(axis)}
          onChange={(value) => {
            setAxis(Number(value));
            setIndex(null);
          }}
          data={shape.slice(0, 3).map((_, at) => ({
            value: String(at),
            label: axisName(attributes.data?.axes, at),
          }))}
        />
      </Group>
      <IndexSlider label="Slice" value={slice} count={count} onChange={setIndex} />
      <Contrast shown={shown} value={contrast} onChange={setContrast} />
    </Stack>
  );
}

function axisName(axes: unknown, at: number): string {
  const name = Array.isArray(axes) ? String(axes[at] ?? "") : "";
  return name && name !== "." ? `Along ${name}` : `Axis ${at}`;
}
