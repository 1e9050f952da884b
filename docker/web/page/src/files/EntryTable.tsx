import { Menu } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import {
  IconCopy,
  IconCube,
  IconDots,
  IconDownload,
  IconFile,
  IconFolder,
  IconListDetails,
  IconLock,
} from "@tabler/icons-react";
import { memo, useState } from "react";
import { downloadUrl } from "../services/api";
import type { Entry, EntryType } from "../services/types";
import { copyText } from "../shared/clipboard";
import { formatAge, formatSize, formatTime } from "../shared/quantities";
import classes from "./EntryTable.module.css";

const KINDS: Record<EntryType, { icon: typeof IconFile; label: string; color: string }> = {
  folder: { icon: IconFolder, label: "Folder", color: "var(--mantine-color-yellow-7)" },
  data: { icon: IconCube, label: "Data file", color: "var(--mantine-color-cyan-7)" },
  process_list: {
    icon: IconListDetails,
    label: "Process list",
    color: "var(--mantine-color-grape-7)",
  },
  file: { icon: IconFile, label: "File", color: "var(--mantine-color-gray-6)" },
};

interface Props {
  entries: Entry[];
  isOpen: (entry: Entry) => boolean;
  onOpen: (entry: Entry) => void;
}

export function EntryTable({ entries, isOpen, onOpen }: Props) {
  return (
    <table className={classes.table} aria-label="Folder contents">
      <thead>
        <tr>
          <th scope="col">Name</th>
          <th scope="col" className={classes.number} style={{ width: 76 }}>
            Size
          </th>
          <th scope="col" className={classes.number} style={{ width: 66 }}>
            Age
          </th>
          <th scope="col" style={{ width: 44 }} aria-label="Actions" />
        </tr>
      </thead>
      <tbody>
        {entries.map((entry) => (
          <EntryRow key={entry.path} entry={entry} open={isOpen(entry)} onOpen={onOpen} />
        ))}
      </tbody>
    </table>
  );
}

interface RowProps {
  entry: Entry;
  open: boolean;
  onOpen: (entry: Entry) => void;
}

const EntryRow = memo(function EntryRow({ entry, open, onOpen }: RowProps) {
  const kind = KINDS[entry.type];
  const Icon = entry.readable ? kind.icon : IconLock;
  return (
    <tr
      className={classes.row}
      aria-current={open}
      data-unreadable={entry.readable ? undefined : true}
      onClick={() => entry.readable && onOpen(entry)}
    >
      <td>
        <button
          type="button"
          className={classes.name}
          disabled={!entry.readable}
          title={entry.readable ? entry.path : `${entry.path} (you may not read this)`}
        >
          <Icon
            size={16}
            color={entry.readable ? kind.color : "currentColor"}
            role="img"
            aria-label={entry.readable ? kind.label : `${kind.label}, not readable`}
          />
          <span>{entry.name}</span>
        </button>
      </td>
      <td className={classes.number}>{entry.type === "folder" ? "" : formatSize(entry.size)}</td>
      <td className={classes.number} title={formatTime(entry.mtime)}>
        {formatAge(entry.mtime)}
      </td>
      <td onClick={(event) => event.stopPropagation()} style={{ padding: 0 }}>
        <EntryActions entry={entry} />
      </td>
    </tr>
  );
});

/** A menu is made when it is first asked for: most rows never need theirs. */
function EntryActions({ entry }: { entry: Entry }) {
  const [asked, setAsked] = useState(false);
  const [opened, setOpened] = useState(false);
  const button = (
    <button
      type="button"
      className={classes.more}
      aria-label={`Actions for ${entry.name}`}
      aria-haspopup="menu"
      onClick={() => {
        setAsked(true);
        setOpened(!opened);
      }}
    >
      <IconDots size={16} />
    </button>
  );
  if (!asked) return button;
  return (
    <Menu position="bottom-end" withinPortal opened={opened} onChange={setOpened}>
      <Menu.Target>{button}</Menu.Target>
      <Menu.Dropdown>
        <Menu.Item leftSection={<IconCopy size={16} />} onClick={() => void copyPath(entry.path)}>
          Copy path
        </Menu.Item>
        {entry.type !== "folder" && entry.readable && (
          <Menu.Item
            component="a"
            href={downloadUrl(entry.path)}
            download={entry.name}
            leftSection={<IconDownload size={16} />}
          >
            Download
          </Menu.Item>
        )}
      </Menu.Dropdown>
    </Menu>
  );
}

async function copyPath(path: string): Promise<void> {
  const copied = await copyText(path);
  notifications.show({
    title: copied ? "Path copied" : "Copy it by hand",
    message: path,
    color: copied ? "teal" : "yellow",
  });
}
