import { Button, Group, Modal, Stack, TextInput } from "@mantine/core";
import { useEffect, useState, type FormEvent } from "react";
import { useSession } from "../session/useSession";
import { describe, hasStatus } from "../session/problems";
import { baseName, cleanPath, folderOf, joinPath } from "../shared/paths";

interface Props {
  opened: boolean;
  /** The list that is saved under another name; "" for a new one. */
  filename: string;
  onClose: () => void;
  onSave: (filename: string) => Promise<void>;
}

export function SaveAsDialog({ opened, filename, onClose, onSave }: Props) {
  const session = useSession();
  const [folder, setFolder] = useState("");
  const [name, setName] = useState("");
  const [complaint, setComplaint] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    if (!opened) return;
    setFolder(filename ? folderOf(filename) : session.default_paths.process_list);
    setName(filename ? `${baseName(filename).replace(/\.nxs$/, "")}_copy.nxs` : "process_list.nxs");
    setComplaint(null);
  }, [opened, filename, session]);

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    const file = name.trim().endsWith(".nxs") ? name.trim() : `${name.trim()}.nxs`;
    setBusy(true);
    setComplaint(null);
    try {
      await onSave(joinPath(cleanPath(folder), file));
    } catch (error) {
      setComplaint(
        hasStatus(error, 409)
          ? "A file of this name exists already, and is never overwritten. Choose another name."
          : describe(error).detail,
      );
    } finally {
      setBusy(false);
    }
  };

  return (
    <Modal opened={opened} onClose={onClose} title="Save the process list as" size="lg" centered>
      <form onSubmit={(event) => void submit(event)}>
        <Stack>
          <TextInput
            label="Folder"
            value={folder}
            onChange={(event) => setFolder(event.currentTarget.value)}
            required
            spellCheck={false}
          />
          <TextInput
            label="File name"
            value={name}
            onChange={(event) => setName(event.currentTarget.value)}
            error={complaint}
            required
            data-autofocus
            spellCheck={false}
          />
          <Group justify="flex-end">
            <Button variant="default" onClick={onClose}>
              Cancel
            </Button>
            <Button type="submit" loading={busy} disabled={!folder.trim() || !name.trim()}>
              Save list
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
