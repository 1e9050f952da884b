import {
  ActionIcon,
  Anchor,
  Badge,
  Breadcrumbs,
  Button,
  Divider,
  Group,
  NavLink,
  ScrollArea,
  Skeleton,
  Stack,
  Text,
  TextInput,
  Tooltip,
} from "@mantine/core";
import { IconArrowUp, IconFolderStar, IconLock, IconRefresh } from "@tabler/icons-react";
import { useInfiniteQuery } from "@tanstack/react-query";
import { useEffect, useState, type FormEvent } from "react";
import { useLocation } from "../location";
import { getFolder } from "../services/api";
import type { Entry, Visit } from "../services/types";
import { hasStatus } from "../session/problems";
import { useSession } from "../session/useSession";
import { CopyPathButton } from "../shared/CopyPathButton";
import { ProblemAlert } from "../shared/ProblemAlert";
import { showProblem } from "../shared/notices";
import { ancestors, cleanPath, folderOf } from "../shared/paths";
import { EntryTable } from "./EntryTable";
import { findEntry, useOpenEntry } from "./opening";

export function FilesPane() {
  const session = useSession();
  const [location, go] = useLocation();
  const folder = location.folder ?? session.default_paths.data;
  const open = useOpenEntry();
  return (
    <div className="fill">
      <Visits
        visits={session.visits}
        current={folder}
        onOpen={(path) => go({ folder: path })}
      />
      <Divider />
      <Stack gap={6} p="xs">
        <PathField folder={folder} />
        <Crumbs folder={folder} onOpen={(path) => go({ folder: path })} />
      </Stack>
      <FolderListing folder={folder} onOpen={open} />
    </div>
  );
}

interface VisitsProps {
  visits: Visit[];
  current: string;
  onOpen: (path: string) => void;
}

function Visits({ visits, current, onOpen }: VisitsProps) {
  return (
    <Stack gap={4} p="xs" component="section" aria-label="My visits">
      <Text size="xs" fw={600} c="dimmed" tt="uppercase" component="h2">
        My visits
      </Text>
      {visits.length === 0 ? (
        <Text size="sm" c="dimmed">
          No visit was found in your groups. Paste a path below instead.
        </Text>
      ) : (
        <ScrollArea.Autosize mah={150} type="auto">
          {visits.map((visit) => (
            <NavLink
              key={visit.path}
              component="button"
              label={visit.name}
              active={current === visit.path || current.startsWith(`${visit.path}/`)}
              disabled={!visit.readable}
              leftSection={
                visit.readable ? <IconFolderStar size={16} /> : <IconLock size={16} />
              }
              rightSection={
                visit.readable ? null : (
                  <Badge size="xs" variant="light" color="gray">
                    not readable
                  </Badge>
                )
              }
              title={visit.path}
              py={4}
              onClick={() => onOpen(visit.path)}
            />
          ))}
        </ScrollArea.Autosize>
      )}
    </Stack>
  );
}

/** Shows where one is, and takes any absolute path: of a folder, a data file or a process list. */
function PathField({ folder }: { folder: string }) {
  const [, go] = useLocation();
  const [text, setText] = useState(folder);
  const [busy, setBusy] = useState(false);
  const [complaint, setComplaint] = useState<string | null>(null);
  const open = useOpenEntry();
  useEffect(() => {
    setText(folder);
    setComplaint(null);
  }, [folder]);

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    const path = cleanPath(text);
    if (!path.startsWith("/")) {
      setComplaint("An absolute path starts with a slash, such as /dls/i12/data/2026/cm10001-1.");
      return;
    }
    setComplaint(null);
    setBusy(true);
    try {
      const entry = await findEntry(path);
      if (entry === "folder") go({ folder: path });
      else {
        go({ folder: folderOf(path) }, "replace");
        open(entry);
      }
    } catch (error) {
      if (hasStatus(error, 404)) setComplaint("There is no such file or folder.");
      else if (hasStatus(error, 403)) setComplaint(error.message);
      else showProblem(error);
    } finally {
      setBusy(false);
    }
  };

  return (
    <form onSubmit={(event) => void submit(event)}>
      <Group gap={6} wrap="nowrap" align="flex-start">
        <TextInput
          aria-label="Path"
          placeholder="Paste an absolute path"
          value={text}
          onChange={(event) => setText(event.currentTarget.value)}
          onFocus={(event) => event.currentTarget.select()}
          error={complaint}
          disabled={busy}
          size="xs"
          style={{ flex: 1 }}
          styles={{ input: { fontFamily: "var(--mantine-font-family-monospace)" } }}
          spellCheck={false}
          autoComplete="off"
        />
        <Button type="submit" size="xs" variant="default" loading={busy}>
          Go
        </Button>
      </Group>
    </form>
  );
}

function Crumbs({ folder, onOpen }: { folder: string; onOpen: (path: string) => void }) {
  const { data_roots: roots } = useSession();
  const all = ancestors(folder);
  const reachable = (path: string) =>
    roots.some((root) => path === root || path.startsWith(root === "/" ? "/" : `${root}/`));
  const shown = all.filter((crumb) => reachable(crumb.path));
  const up = shown.at(-2)?.path;
  return (
    <Group gap={4} wrap="nowrap" justify="space-between">
      <Group gap={4} wrap="nowrap" style={{ minWidth: 0 }}>
        <Tooltip label="Up one folder" openDelay={500}>
          <ActionIcon
            variant="subtle"
            color="gray"
            aria-label="Up one folder"
            disabled={!up}
            onClick={() => up && onOpen(up)}
          >
            <IconArrowUp size={16} />
          </ActionIcon>
        </Tooltip>
        <nav aria-label="Breadcrumbs" style={{ minWidth: 0 }}>
          <Breadcrumbs separatorMargin={4} style={{ flexWrap: "wrap", rowGap: 2 }}>
            {shown.map((crumb, index) => (
              <Anchor
                key={crumb.path}
                component="button"
                type="button"
                size="sm"
                aria-current={index === shown.length - 1 ? "location" : undefined}
                onClick={() => onOpen(crumb.path)}
              >
                {index === 0 ? crumb.path : crumb.name}
              </Anchor>
            ))}
          </Breadcrumbs>
        </nav>
      </Group>
      <CopyPathButton path={folder} label="Copy folder path" />
    </Group>
  );
}

function FolderListing({ folder, onOpen }: { folder: string; onOpen: (entry: Entry) => void }) {
  const [location] = useLocation();
  const listing = useInfiniteQuery({
    queryKey: ["folder", folder],
    queryFn: ({ pageParam, signal }) => getFolder(folder, pageParam, signal),
    initialPageParam: 0,
    getNextPageParam: (last) =>
      last.offset + last.entries.length < last.total && last.entries.length > 0
        ? last.offset + last.entries.length
        : undefined,
    staleTime: 5_000,
    refetchOnWindowFocus: true,
  });
  if (listing.isPending) return <Waiting />;
  if (listing.isError) {
    return <ProblemAlert error={listing.error} onRetry={() => void listing.refetch()} />;
  }
  const pages = listing.data.pages;
  const entries = pages.flatMap((page) => page.entries);
  const total = pages.at(-1)?.total ?? entries.length;
  return (
    <>
      <div className="scroll">
        <EntryTable
          entries={entries}
          isOpen={(entry) => entry.path === location.data || entry.path === location.list}
          onOpen={onOpen}
        />
        {listing.hasNextPage && (
          <Button
            variant="subtle"
            fullWidth
            loading={listing.isFetchingNextPage}
            onClick={() => void listing.fetchNextPage()}
          >
            Show more
          </Button>
        )}
      </div>
      <Group justify="space-between" px="xs" py={4} wrap="nowrap">
        <Text size="xs" c="dimmed" role="status">
          {entries.length < total ? `${entries.length} of ${total}` : countText(total)}
          {pages.some((page) => page.truncated) && listing.hasNextPage === false
            ? ", cut off: too many to list"
            : ""}
        </Text>
        <Tooltip label="Refresh" openDelay={500}>
          <ActionIcon
            variant="subtle"
            color="gray"
            aria-label="Refresh folder"
            loading={listing.isRefetching}
            onClick={() => void listing.refetch()}
          >
            <IconRefresh size={16} />
          </ActionIcon>
        </Tooltip>
      </Group>
    </>
  );
}

function countText(count: number): string {
  if (count === 0) return "This folder is empty";
  return count === 1 ? "1 entry" : `${count} entries`;
}

function Waiting() {
  return (
    <Stack gap={8} p="xs" aria-label="Listing the folder" aria-busy className="fill">
      {[70, 55, 80, 60, 65].map((width) => (
        <Skeleton key={width} height={18} width={`${width}%`} />
      ))}
    </Stack>
  );
}
