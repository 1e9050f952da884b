import { ActionIcon, Button, Tooltip } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { IconCopy } from "@tabler/icons-react";
import { copyText } from "./clipboard";

interface Props {
  path: string;
  /** Accessible name; also the text of the wide form. */
  label?: string;
  wide?: boolean;
}

export function CopyPathButton({ path, label = "Copy path", wide = false }: Props) {
  const copy = async () => {
    const copied = await copyText(path);
    notifications.show(
      copied
        ? { title: "Path copied", message: path, color: "teal", autoClose: 3000 }
        : { title: "Copy it by hand", message: path, color: "yellow", autoClose: false },
    );
  };
  if (wide) {
    return (
      <Button
        size="xs"
        variant="default"
        style={{ flexShrink: 0 }}
        leftSection={<IconCopy size={16} />}
        onClick={() => void copy()}
      >
        {label}
      </Button>
    );
  }
  return (
    <Tooltip label={label} openDelay={500}>
      <ActionIcon variant="subtle" color="gray" aria-label={label} onClick={() => void copy()}>
        <IconCopy size={16} />
      </ActionIcon>
    </Tooltip>
  );
}
