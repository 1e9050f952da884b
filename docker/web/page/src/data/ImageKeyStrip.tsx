import { Group, Text } from "@mantine/core";
import { frameKind, type FrameKind } from "./tomogram";

const COLORS: Record<FrameKind, string> = {
  projection: "var(--mantine-color-cyan-6)",
  flat: "var(--mantine-color-yellow-5)",
  dark: "var(--mantine-color-gray-7)",
  unknown: "var(--mantine-color-red-5)",
};

const PLURALS: Record<FrameKind, [one: string, many: string]> = {
  projection: ["projection", "projections"],
  flat: ["flat field", "flat fields"],
  dark: ["dark field", "dark fields"],
  unknown: ["frame of another kind", "frames of other kinds"],
};

export interface Run {
  kind: FrameKind;
  start: number;
  length: number;
}

/** Neighbouring frames of the same kind, together. */
export function runsOf(keys: number[]): Run[] {
  const runs: Run[] = [];
  keys.forEach((key, index) => {
    const kind = frameKind(key);
    const last = runs.at(-1);
    if (last?.kind === kind) last.length += 1;
    else runs.push({ kind, start: index, length: 1 });
  });
  return runs;
}

export function countKinds(keys: number[]): Map<FrameKind, number> {
  const counts = new Map<FrameKind, number>();
  for (const key of keys) counts.set(frameKind(key), (counts.get(frameKind(key)) ?? 0) + 1);
  return counts;
}

export function countText(kind: FrameKind, count: number): string {
  return `${count} ${PLURALS[kind][count === 1 ? 0 : 1]}`;
}

/** The image key of a scan: which frames are projections, flat and dark fields. */
export function ImageKeyStrip({ keys, current }: { keys: number[]; current: number }) {
  const counts = [...countKinds(keys)];
  return (
    <div>
      <svg
        width="100%"
        height={10}
        viewBox={`0 0 ${keys.length} 10`}
        preserveAspectRatio="none"
        role="img"
        aria-label={`Image key: ${counts.map(([kind, n]) => countText(kind, n)).join(", ")}`}
      >
        {runsOf(keys).map((run) => (
          <rect
            key={run.start}
            x={run.start}
            width={run.length}
            height={10}
            fill={COLORS[run.kind]}
          />
        ))}
        <rect
          x={current}
          width={Math.max(1, keys.length / 200)}
          height={10}
          fill="var(--mantine-color-text)"
        />
      </svg>
      <Group gap="md">
        {counts.map(([kind, count]) => (
          <Group key={kind} gap={4}>
            <span
              aria-hidden
              style={{ width: 10, height: 10, background: COLORS[kind], borderRadius: 2 }}
            />
            <Text size="xs" c="dimmed">
              {countText(kind, count)}
            </Text>
          </Group>
        ))}
      </Group>
    </div>
  );
}
