import { Alert, Button, Group, Modal, Stack, Text } from "@mantine/core";
import { IconPlugConnectedX } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { formatTime } from "../shared/quantities";
import { askWhy } from "./ended";
import type { SessionState } from "./monitor";
import { startAgainUrl, type SessionPlace } from "./place";

interface Props {
  state: SessionState;
  place: SessionPlace;
  supportContact: string;
  unsaved: boolean;
}

/** What is shown instead of, or over, the page once the session cannot answer. */
export function SessionPanels({ state, place, supportContact, unsaved }: Props) {
  if (state === "suspected") return <SuspectedNotice />;
  if (state === "login-needed") return <LoginPanel unsaved={unsaved} />;
  if (state === "ended") {
    return <EndedPanel place={place} supportContact={supportContact} unsaved={unsaved} />;
  }
  return null;
}

function SuspectedNotice() {
  return (
    <Alert
      role="status"
      color="yellow"
      title="The session does not answer"
      pos="fixed"
      bottom={16}
      left={16}
      style={{ zIndex: 400 }}
    >
      Trying again for a few seconds…
    </Alert>
  );
}

function UnsavedNote({ unsaved }: { unsaved: boolean }) {
  if (!unsaved) return null;
  return (
    <Text size="sm">
      Your unsaved changes are kept in this browser and come back when you open the list again.
    </Text>
  );
}

function LoginPanel({ unsaved }: { unsaved: boolean }) {
  return (
    <Modal
      opened
      onClose={() => undefined}
      withCloseButton={false}
      closeOnEscape={false}
      title="Please log in again"
      centered
    >
      <Stack>
        <Text size="sm">Your login has expired, or you logged out in another tab.</Text>
        <UnsavedNote unsaved={unsaved} />
        <Group justify="flex-end">
          <Button data-autofocus onClick={() => window.location.reload()}>
            Log in again
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}

function EndedPanel({ place, supportContact, unsaved }: Omit<Props, "state">) {
  const why = useQuery({
    queryKey: ["ended", place],
    queryFn: () => askWhy(place),
    staleTime: Infinity,
    retry: false,
  });
  const next = window.location.pathname + window.location.search;
  return (
    <Modal
      opened
      onClose={() => undefined}
      withCloseButton={false}
      closeOnEscape={false}
      title={
        <Group gap="xs">
          <IconPlugConnectedX size={22} />
          <Text fw={600}>Your session has ended</Text>
        </Group>
      }
      centered
      size="md"
    >
      <Stack>
        {why.data?.reason ? (
          <Text>{why.data.reason}</Text>
        ) : (
          <Text>
            {why.isPending
              ? "Asking why…"
              : "It was stopped, or this computer has lost its connection to it."}
          </Text>
        )}
        {why.data?.when && (
          <Text size="sm" c="dimmed">
            {formatTime(why.data.when)}
          </Text>
        )}
        <Text size="sm">Files, process lists and finished results are where they were.</Text>
        <UnsavedNote unsaved={unsaved} />
        {supportContact && (
          <Text size="sm" c="dimmed">
            For help, contact {supportContact}.
          </Text>
        )}
        {place.hub ? (
          <Group justify="flex-end">
            <Button component="a" href={`${place.hub}home`} variant="default">
              Control panel
            </Button>
            <Button component="a" href={startAgainUrl(place, next)} data-autofocus>
              Start again
            </Button>
          </Group>
        ) : (
          <Text size="sm">“savu-spawner start” starts another.</Text>
        )}
      </Stack>
    </Modal>
  );
}
