import { Button, Group, Loader, Modal, NavLink, ScrollArea, Stack, Text, TextInput } from "@mantine/core";
import { IconSearch } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { getPlugin, getPluginNames } from "../services/api";
import type { Plugin } from "../services/types";
import { ProblemAlert } from "../shared/ProblemAlert";

interface Props {
  opened: boolean;
  onClose: () => void;
  onAdd: (plugin: Plugin) => void;
}

export function AddPlugin({ opened, onClose, onAdd }: Props) {
  return (
    <Modal opened={opened} onClose={onClose} title="Add a plugin" size="xl">
      {opened && <Catalogue onAdd={onAdd} />}
    </Modal>
  );
}

/** "dark flat" finds DarkFlatFieldCorrection: every word somewhere in the name. */
export function matching(names: string[], query: string): string[] {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  return names.filter((name) => words.every((word) => name.toLowerCase().includes(word)));
}

function Catalogue({ onAdd }: { onAdd: (plugin: Plugin) => void }) {
  const [query, setQuery] = useState("");
  const [chosen, setChosen] = useState<string | null>(null);
  const names = useQuery({
    queryKey: ["plugins"],
    queryFn: ({ signal }) => getPluginNames(signal),
    staleTime: 300_000,
  });
  const found = useMemo(() => matching(names.data ?? [], query), [names.data, query]);
  const shown = chosen && found.includes(chosen) ? chosen : (found[0] ?? null);
  const plugin = useQuery({
    queryKey: ["plugin", shown],
    enabled: shown !== null,
    queryFn: ({ signal }) => getPlugin(shown ?? "", signal),
    staleTime: 300_000,
  });
  if (names.isError) {
    return <ProblemAlert error={names.error} onRetry={() => void names.refetch()} />;
  }
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (plugin.data) onAdd(plugin.data);
      }}
    >
      <Stack>
        <TextInput
          aria-label="Search plugins"
          placeholder="Search by name"
          leftSection={<IconSearch size={16} />}
          value={query}
          onChange={(event) => setQuery(event.currentTarget.value)}
          data-autofocus
          spellCheck={false}
        />
        <Group align="stretch" wrap="nowrap" h={380}>
          <ScrollArea w={280} type="auto" role="group" aria-label="Plugins">
            {names.isPending && <Loader size="sm" aria-label="Reading the catalogue" />}
            {found.map((name) => (
              <NavLink
                key={name}
                component="button"
                type="button"
                label={name}
                active={name === shown}
                py={4}
                onClick={() => setChosen(name)}
              />
            ))}
            {names.isSuccess && found.length === 0 && (
              <Text size="sm" c="dimmed" p="xs">
                No plugin matches.
              </Text>
            )}
          </ScrollArea>
          <ScrollArea style={{ flex: 1 }} type="auto">
            {plugin.isError && <ProblemAlert error={plugin.error} />}
            {plugin.data && <About plugin={plugin.data} />}
          </ScrollArea>
        </Group>
        <Group justify="flex-end">
          <Button type="submit" disabled={!plugin.data}>
            {plugin.data ? `Add ${plugin.data.name}` : "Add"}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}

function About({ plugin }: { plugin: Plugin }) {
  return (
    <Stack gap="xs">
      <Text fw={600}>{plugin.name}</Text>
      <Text size="sm">{plugin.synopsis || plugin.info}</Text>
      {plugin.warn && (
        <Text size="sm" c="orange">
          {plugin.warn}
        </Text>
      )}
      <Text size="sm" c="dimmed">
        Run by: {plugin.engines.join(", ") || "no installed engine"}
      </Text>
      <Text size="sm" c="dimmed">
        Parameters: {plugin.parameters.map((parameter) => parameter.name).join(", ") || "none"}
      </Text>
      {plugin.citations.map((citation) => (
        <Text key={citation.doi || citation.bibtex} size="xs" c="dimmed">
          {citation.citation ?? citation.description} {citation.doi}
        </Text>
      ))}
    </Stack>
  );
}
