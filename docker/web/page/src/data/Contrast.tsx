import { Group, RangeSlider, Switch, Text } from "@mantine/core";
import { useState } from "react";
import type { Window } from "../services/dataserver";

export const FULL_CONTRAST: Window = { percentiles: [1, 99] };

interface Props {
  /** The values drawn black and white at present; null before a picture is there. */
  shown: [low: number, high: number] | null;
  value: Window;
  onChange: (value: Window) => void;
}

/** How values become grey: percentiles of each slice, or the same values for all slices. */
export function Contrast({ shown, value, onChange }: Props) {
  const fixed = "values" in value;
  const [percentiles, setPercentiles] = useState<[number, number]>([1, 99]);
  return (
    <Group gap="sm" wrap="nowrap">
      <Text size="sm" w={64}>
        Contrast
      </Text>
      <RangeSlider
        style={{ flex: 1 }}
        thumbFromLabel="Black at percentile"
        thumbToLabel="White at percentile"
        min={0}
        max={100}
        minRange={1}
        value={percentiles}
        onChange={setPercentiles}
        onChangeEnd={(next) => onChange({ percentiles: next })}
        label={(percentile) => `${percentile} %`}
        disabled={fixed}
        size="sm"
      />
      <Text size="xs" c="dimmed" ta="right" miw={170} style={{ fontVariantNumeric: "tabular-nums" }}>
        {shown ? `black ${formatValue(shown[0])}, white ${formatValue(shown[1])}` : ""}
      </Text>
      <Switch
        size="xs"
        label="Same for all slices"
        checked={fixed}
        disabled={!shown}
        onChange={(event) =>
          onChange(event.currentTarget.checked && shown ? { values: shown } : { percentiles })
        }
      />
    </Group>
  );
}

/** Four digits are enough to tell windows apart. */
export function formatValue(value: number): string {
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(2);
  return String(Number(value.toPrecision(4)));
}
