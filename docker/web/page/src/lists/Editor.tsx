import { Alert, Badge, Button, Group, Text, Title } from "@mantine/core";
import { useDebouncedValue, useDisclosure, useHotkeys } from "@mantine/hooks";
import {
  IconDeviceFloppy,
  IconDownload,
  IconHistory,
  IconPlus,
  IconRefresh,
} from "@tabler/icons-react";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useEffect, useMemo, useState } from "react";
import { RunPanel } from "../jobs/RunPanel";
import { useLocation } from "../location";
import { checkList, downloadUrl } from "../services/api";
import { CopyPathButton } from "../shared/CopyPathButton";
import { showDone, showProblem } from "../shared/notices";
import { baseName } from "../shared/paths";
import { formatTime } from "../shared/quantities";
import { AddPlugin } from "./AddPlugin";
import { ConflictDialog } from "./ConflictDialog";
import { SaveAsDialog } from "./SaveAsDialog";
import { StepList } from "./StepList";
import { StepParameters } from "./StepParameters";
import { addPlugin, bodyOf } from "./draft";
import { useListEditor, type Base } from "./useListEditor";

interface Props {
  filename: string;
  base: Base;
  onUnsaved: (unsaved: boolean) => void;
}

export function Editor({ filename, base, onUnsaved }: Props) {
  const [, go] = useLocation();
  const editor = useListEditor(filename, base);
  const { draft, dirty } = editor;
  const [adding, add] = useDisclosure(false);
  const [savingAs, saveAs] = useDisclosure(false);
  const [conflict, conflicts] = useDisclosure(false);
  const [busy, setBusy] = useState(false);
  useEffect(() => onUnsaved(dirty), [dirty, onUnsaved]);

  const body = useMemo(() => bodyOf(draft), [draft]);
  const [settled] = useDebouncedValue(body, 400);
  const check = useQuery({
    queryKey: ["check", settled],
    queryFn: ({ signal }) => checkList(settled, signal),
    enabled: settled.plugins.length > 0,
    placeholderData: keepPreviousData,
    staleTime: 60_000,
    gcTime: 60_000,
  });
  const verdicts = draft.steps.length ? (check.data?.engines ?? base.list?.engines ?? []) : [];
  const errors = check.data?.errors ?? [];

  /** True once the file holds what is shown. */
  const save = async (): Promise<boolean> => {
    if (!filename) {
      saveAs.open();
      return false;
    }
    setBusy(true);
    try {
      const outcome = await editor.save();
      if (outcome === "saved") {
        showDone("Saved", filename);
        return true;
      }
      if (outcome === "conflict") conflicts.open();
      else {
        showDone("The file is no longer there", "Save the list under a name of your choice.");
        saveAs.open();
      }
    } catch (error) {
      showProblem(error);
    } finally {
      setBusy(false);
    }
    return false;
  };

  /** True once it is certain that what runs is what is shown. */
  const settle = async (): Promise<boolean> => {
    if (dirty || !filename) return save();
    if (await editor.isCurrent()) return true;
    conflicts.open();
    return false;
  };

  useHotkeys([["mod+S", () => void (dirty && save())]], []);

  return (
    <section className="fill" aria-label="Process list">
      <Group px="md" py="xs" justify="space-between" wrap="nowrap" gap="xs">
        <Group gap="xs" wrap="nowrap" style={{ minWidth: 0 }}>
          <Title order={2} size="h5" className="path" title={filename} lineClamp={1}>
            {filename ? baseName(filename) : "New process list"}
          </Title>
          {filename && <CopyPathButton path={filename} label="Copy path of this list" />}
          {dirty && (
            <Badge color="yellow" variant="light" role="status" style={{ flexShrink: 0 }}>
              Unsaved
            </Badge>
          )}
        </Group>
        <Group gap={6} wrap="nowrap">
          <Button
            size="xs"
            variant="light"
            leftSection={<IconPlus size={16} />}
            onClick={add.open}
          >
            Add plugin
          </Button>
          <Button
            size="xs"
            variant="default"
            leftSection={<IconRefresh size={16} />}
            disabled={!filename && !dirty}
            onClick={() => void editor.reload().catch(showProblem)}
          >
            {dirty ? "Discard changes" : "Reload"}
          </Button>
          {filename && (
            <Button
              component="a"
              href={downloadUrl(filename)}
              download={baseName(filename)}
              size="xs"
              variant="default"
              leftSection={<IconDownload size={16} />}
            >
              Download
            </Button>
          )}
          <Button size="xs" variant="default" onClick={saveAs.open}>
            Save as…
          </Button>
          <Button
            size="xs"
            leftSection={<IconDeviceFloppy size={16} />}
            disabled={!dirty}
            loading={busy}
            onClick={() => void save()}
          >
            Save
          </Button>
        </Group>
      </Group>
      {editor.restored && (
        <Alert
          color="yellow"
          icon={<IconHistory />}
          mx="md"
          mb="xs"
          py="xs"
          title="Your unsaved changes are back"
          role="status"
        >
          <Text size="sm">
            They were made {formatTime(editor.restored)}. Save them, or discard them to see what the
            file holds.
          </Text>
        </Alert>
      )}
      <div className="fill" style={{ flexDirection: "row" }}>
        <StepList
          draft={draft}
          verdicts={verdicts}
          errors={errors}
          change={editor.change}
          onAdd={add.open}
        />
        <StepParameters draft={draft} verdicts={verdicts} errors={errors} change={editor.change} />
      </div>
      <RunPanel
        filename={filename}
        dirty={dirty}
        empty={draft.steps.length === 0}
        verdicts={verdicts}
        invalid={errors.length}
        settle={settle}
      />
      <AddPlugin
        opened={adding}
        onClose={add.close}
        onAdd={(plugin) => {
          editor.change((before) => addPlugin(before, plugin));
          add.close();
        }}
      />
      <SaveAsDialog
        opened={savingAs}
        filename={filename}
        onClose={saveAs.close}
        onSave={async (target) => {
          await editor.saveAs(target);
          saveAs.close();
          showDone("Saved", target);
          go({ list: target });
        }}
      />
      <ConflictDialog
        opened={conflict}
        onClose={conflicts.close}
        onLoad={() => editor.reload()}
        onOverwrite={async () => {
          await editor.save({ overwrite: true });
          showDone("Saved", filename);
        }}
        onSaveAs={saveAs.open}
      />
    </section>
  );
}
