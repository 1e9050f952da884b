import {
  ActionIcon,
  Anchor,
  Badge,
  Button,
  Group,
  Popover,
  Text,
  Tooltip,
  useComputedColorScheme,
  useMantineColorScheme,
} from "@mantine/core";
import {
  IconHelp,
  IconHome,
  IconLayoutSidebar,
  IconLogout,
  IconMoon,
  IconSun,
} from "@tabler/icons-react";
import { EntriesNotice } from "./EntriesNotice";
import type { Session } from "./services/types";
import { sessionUrl } from "./session/client";

interface Props {
  session: Session;
  filesShown: boolean;
  onToggleFiles: () => void;
}

export function Header({ session, filesShown, onToggleFiles }: Props) {
  return (
    <Group h="100%" px="md" justify="space-between" wrap="nowrap">
      <Group gap="sm" wrap="nowrap">
        <ActionIcon
          variant="subtle"
          color="gray"
          aria-label={filesShown ? "Hide files" : "Show files"}
          aria-pressed={filesShown}
          onClick={onToggleFiles}
        >
          <IconLayoutSidebar size={20} />
        </ActionIcon>
        <img src="./icon.svg" alt="" width={24} height={24} />
        <Text component="h1" fw={600} size="lg">
          Savu
        </Text>
        {session.server && <Badge variant="light">{session.server}</Badge>}
      </Group>
      <Group gap="xs" wrap="nowrap">
        <EntriesNotice />
        <Support contact={session.support_contact} />
        <Text size="sm" aria-label="Logged in as" role="note" truncate maw={260}>
          {session.display_name || session.user}
        </Text>
        <ColorScheme />
        {session.hub_url && (
          <Button
            component="a"
            href={`${session.hub_url}home`}
            variant="default"
            size="xs"
            leftSection={<IconHome size={16} />}
          >
            Control panel
          </Button>
        )}
        <Button
          component="a"
          // Without a hub the session's own gate forgets the browser.
          href={session.hub_url ? `${session.hub_url}logout` : sessionUrl("logout")}
          variant="default"
          size="xs"
          leftSection={<IconLogout size={16} />}
        >
          Log out
        </Button>
      </Group>
    </Group>
  );
}

function Support({ contact }: { contact: string }) {
  if (!contact) return null;
  const email = /[\w.+-]+@[\w.-]+\w/.exec(contact)?.[0];
  const [before, after] = email ? contact.split(email) : [contact];
  return (
    <Popover position="bottom-end" withArrow shadow="md">
      <Popover.Target>
        <Button variant="subtle" color="gray" size="xs" leftSection={<IconHelp size={16} />}>
          Help
        </Button>
      </Popover.Target>
      <Popover.Dropdown maw={340}>
        <Text size="sm">
          For help, contact {before}
          {email && <Anchor href={`mailto:${email}`}>{email}</Anchor>}
          {after}.
        </Text>
      </Popover.Dropdown>
    </Popover>
  );
}

function ColorScheme() {
  const scheme = useComputedColorScheme("light");
  const { setColorScheme } = useMantineColorScheme();
  const other = scheme === "dark" ? "light" : "dark";
  return (
    <Tooltip label={`Use ${other} colours`}>
      <ActionIcon
        variant="subtle"
        color="gray"
        aria-label={`Use ${other} colours`}
        onClick={() => setColorScheme(other)}
      >
        {scheme === "dark" ? <IconSun size={18} /> : <IconMoon size={18} />}
      </ActionIcon>
    </Tooltip>
  );
}
