import { Group, NumberInput, Slider, Text } from "@mantine/core";

interface Props {
  /** Accessible name: "Frame", "Row", "Slice". */
  label: string;
  value: number;
  count: number;
  onChange: (value: number) => void;
}

/** One index of an axis: dragged, stepped with the arrow keys, or typed. */
export function IndexSlider({ label, value, count, onChange }: Props) {
  const last = Math.max(0, count - 1);
  return (
    <Group gap="sm" wrap="nowrap">
      <Text size="sm" w={44}>
        {label}
      </Text>
      <Slider
        style={{ flex: 1 }}
        thumbLabel={label}
        min={0}
        max={last}
        value={value}
        onChange={onChange}
        disabled={count < 2}
        size="sm"
      />
      <NumberInput
        aria-label={`${label} number`}
        size="xs"
        w={84}
        min={0}
        max={last}
        clampBehavior="strict"
        allowDecimal={false}
        value={value}
        onChange={(next) => typeof next === "number" && onChange(next)}
      />
      <Text size="xs" c="dimmed" w={54}>
        of 0–{last}
      </Text>
    </Group>
  );
}
