import { Badge, HoverCard, Stack, Text, UnstyledButton } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { requestJson, sessionUrl } from "./session/client";
import { formatTime } from "./shared/quantities";

interface Entries {
  entries: { name: string; kind: string; first: string; last: string }[];
}

/** Tells the owner who else was let into this session; shows nothing if nobody was. */
export function EntriesNotice() {
  const answer = useQuery({
    queryKey: ["entries"],
    queryFn: ({ signal }) =>
      requestJson<Entries>(sessionUrl("internal/entries"), {
        action: "Asking who else was here",
        signal,
        background: true,
      }),
    refetchInterval: 60_000,
    retry: false,
  });
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
