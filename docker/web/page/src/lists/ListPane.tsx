import { Button, Center, Group, Loader, Stack, Text, Title } from "@mantine/core";
import { IconPlus } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useEffect } from "react";
import { useLocation } from "../location";
import { getList } from "../services/api";
import { hasStatus } from "../session/problems";
import { ProblemAlert } from "../shared/ProblemAlert";
import { Editor } from "./Editor";
import { findUnsaved } from "./unsaved";
import { NEW_LIST } from "./useListEditor";

interface Props {
  onUnsaved: (unsaved: boolean) => void;
}

export function ListPane({ onUnsaved }: Props) {
  const [location, go] = useLocation();
  const filename = location.list;
  useEffect(() => {
    if (filename === null) onUnsaved(false);
  }, [filename, onUnsaved]);
  if (filename === null) {
    return (
      <Center className="fill">
        <Stack align="center" gap="xs">
          <Title order={2} size="h4">
            No process list is open
          </Title>
          <Text c="dimmed">Choose one in the list of files, or begin a new one.</Text>
          <Group>
            <Button
              variant="light"
              leftSection={<IconPlus size={16} />}
              onClick={() => go({ list: "" })}
            >
              New process list
            </Button>
          </Group>
        </Stack>
      </Center>
    );
  }
  if (filename === "") {
    return <Editor key="" filename="" base={NEW_LIST} onUnsaved={onUnsaved} />;
  }
  return <FileEditor key={filename} filename={filename} onUnsaved={onUnsaved} />;
}

function FileEditor({ filename, onUnsaved }: Props & { filename: string }) {
  const list = useQuery({
    queryKey: ["list", filename],
    queryFn: ({ signal }) => getList(filename, signal),
    staleTime: Infinity,
  });
  if (list.data) return <Editor filename={filename} base={list.data} onUnsaved={onUnsaved} />;
  // The file is gone, but edits of it are still here: they can be saved under another name.
  if (hasStatus(list.error, 404) && findUnsaved(filename)) {
    return <Editor filename={filename} base={NEW_LIST} onUnsaved={onUnsaved} />;
  }
  if (list.isError) {
    return <ProblemAlert error={list.error} onRetry={() => void list.refetch()} />;
  }
  return (
    <Center className="fill">
      <Loader aria-label="Opening the process list" />
    </Center>
  );
}
