import { AppShell, Center, Loader, Stack, Tabs } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { IconChartHistogram, IconListCheck, IconPlayerPlay } from "@tabler/icons-react";
import { useState } from "react";
import { DataPane } from "./data/DataPane";
import { ForeignNotice } from "./ForeignNotice";
import { FilesPane } from "./files/FilesPane";
import { Header } from "./Header";
import { JobsPane } from "./jobs/JobsPane";
import { JobsTabLabel } from "./jobs/JobsTabLabel";
import { useJobEvents } from "./jobs/useJobs";
import { ListPane } from "./lists/ListPane";
import { useLocation, type View } from "./location";
import type { Session } from "./services/types";
import { SessionPanels } from "./session/SessionPanels";
import { LoginNeeded, SessionGone } from "./session/problems";
import { SessionContext, placeOf, useSessionQuery, useSessionState } from "./session/useSession";
import { Contained } from "./shared/Contained";
import { ProblemAlert } from "./shared/ProblemAlert";

export function App() {
  const session = useSessionQuery();
  const state = useSessionState();
  const [unsaved, setUnsaved] = useState(false);
  return (
    <>
      <SessionPanels
        state={state}
        place={placeOf(session.data)}
        supportContact={session.data?.support_contact ?? ""}
        unsaved={unsaved}
      />
      {session.data ? (
        <SessionContext.Provider value={session.data}>
          <Contained>
            <Workbench session={session.data} onUnsaved={setUnsaved} />
          </Contained>
        </SessionContext.Provider>
      ) : (
        <Center h="100vh">
          {session.isError && !hasPanel(session.error) ? (
            <Stack>
              <ForeignNotice />
              <ProblemAlert error={session.error} onRetry={() => void session.refetch()} />
            </Stack>
          ) : (
            <Loader aria-label="Opening the session" />
          )}
        </Center>
      )}
    </>
  );
}

function hasPanel(error: Error): boolean {
  return error instanceof LoginNeeded || error instanceof SessionGone;
}

interface WorkbenchProps {
  session: Session;
  onUnsaved: (unsaved: boolean) => void;
}

function Workbench({ session, onUnsaved }: WorkbenchProps) {
  const [location, go] = useLocation();
  const [filesShown, files] = useDisclosure(true);
  useJobEvents();
  return (
    <AppShell
      header={{ height: 52 }}
      navbar={{
        width: { base: 360, lg: 400, xl: 460 },
        breakpoint: 0,
        collapsed: { desktop: !filesShown, mobile: !filesShown },
      }}
      transitionDuration={0}
    >
      <AppShell.Header>
        <Header session={session} filesShown={filesShown} onToggleFiles={files.toggle} />
      </AppShell.Header>
      <AppShell.Navbar aria-label="Files">
        <FilesPane />
      </AppShell.Navbar>
      <AppShell.Main h="100dvh" style={{ display: "flex" }}>
        <Tabs
          className="fill"
          value={location.view}
          onChange={(view) => go({ view: view as View })}
        >
          <Tabs.List aria-label="Work on">
            <Tabs.Tab value="data" leftSection={<IconChartHistogram size={16} />}>
              Data
            </Tabs.Tab>
            <Tabs.Tab value="list" leftSection={<IconListCheck size={16} />}>
              Process list
            </Tabs.Tab>
            <Tabs.Tab value="jobs" leftSection={<IconPlayerPlay size={16} />}>
              <JobsTabLabel />
            </Tabs.Tab>
          </Tabs.List>
          <Pane view="data" current={location.view}>
            <DataPane key={location.data} />
          </Pane>
          <Pane view="list" current={location.view}>
            <ListPane onUnsaved={onUnsaved} />
          </Pane>
          <Pane view="jobs" current={location.view}>
            <JobsPane />
          </Pane>
        </Tabs>
      </AppShell.Main>
    </AppShell>
  );
}

/** All panes stay mounted: going to and fro between them loses nothing. */
function Pane(props: { view: View; current: View; children: React.ReactNode }) {
  const shown = props.view === props.current;
  return (
    <Tabs.Panel
      value={props.view}
      className="fill"
      style={{ display: shown ? undefined : "none", overflow: "hidden" }}
    >
      {props.children}
    </Tabs.Panel>
  );
}
