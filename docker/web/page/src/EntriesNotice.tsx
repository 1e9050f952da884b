import { Badge, HoverCard, Stack, Text, UnstyledButton } from "@mantine/core";
import { useGate } from "./session/useGate";
import { formatTime } from "./shared/quantities";

/** Tells the owner who else was let into this session; shows nothing if nobody was. */
export function EntriesNotice() {
  const answer = useGate();
  const entries = answer.data?.entries ?? [];
  if (entries.length === 0) return null;
  return (
    <HoverCard withinPortal>
      <HoverCard.Target>
        <UnstyledButton aria-label="Others were in this session">
          <Badge color="orange" variant="light">
            Visited by {[...new Set(entries.map((entry) => entry.name))].join(", ")}
          </Badge>
        </UnstyledButton>
      </HoverCard.Target>
      <HoverCard.Dropdown>
        <Stack gap={4}>
          <Text size="sm" fw={600}>
            Others whom JupyterHub let into this session
          </Text>
          {entries.map((entry) => (
            <Text key={entry.name + entry.kind + entry.first} size="sm">
              {entry.name} ({entry.kind}): {formatTime(entry.first)} to {formatTime(entry.last)}
            </Text>
          ))}
        </Stack>
      </HoverCard.Dropdown>
    </HoverCard>
  );
}
