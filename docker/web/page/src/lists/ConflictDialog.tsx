import { Button, Group, Modal, Stack, Text } from "@mantine/core";
import { showProblem } from "../shared/notices";

interface Props {
  opened: boolean;
  onClose: () => void;
  onLoad: () => Promise<void>;
  onOverwrite: () => Promise<void>;
  onSaveAs: () => void;
}

/** Two people changed the same list: the user chooses, nothing is overwritten unasked. */
export function ConflictDialog({ opened, onClose, onLoad, onOverwrite, onSaveAs }: Props) {
  const choose = (act: () => Promise<void> | void) => async () => {
    try {
      await act();
      onClose();
    } catch (error) {
      showProblem(error);
    }
  };
  return (
    <Modal
      opened={opened}
      onClose={onClose}
      title="This list was changed by somebody else"
      size="lg"
      centered
    >
      <Stack>
        <Text size="sm">
          Since you opened it, another person or another tab has saved over this file. Nothing has
          been overwritten yet.
        </Text>
        <Group justify="flex-end">
          <Button variant="default" onClick={() => void choose(onSaveAs)()}>
            Save mine as…
          </Button>
          <Button variant="default" color="red" onClick={() => void choose(onOverwrite)()}>
            Overwrite with mine
          </Button>
          <Button data-autofocus onClick={() => void choose(onLoad)()}>
            Load their version
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}
