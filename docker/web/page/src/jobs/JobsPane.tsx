import { Badge, Center, Loader, Progress, Stack, Table, Text, Title, UnstyledButton } from "@mantine/core";
import { useLocation } from "../location";
import type { QueuedJob } from "../services/types";
import { ProblemAlert } from "../shared/ProblemAlert";
import { baseName } from "../shared/paths";
import { formatAge, formatTime } from "../shared/quantities";
import { JobDetails } from "./JobDetails";
import { QUEUE_WORDS, STATE_WORDS, headline, keyOf } from "./jobs";
import { useJobs } from "./useJobs";

export function JobsPane() {
  const jobs = useJobs();
  const [location, go] = useLocation();
  if (jobs.isPending) {
    return (
      <Center className="fill">
        <Loader aria-label="Listing the jobs" />
      </Center>
    );
  }
  if (jobs.isError) {
    return <ProblemAlert error={jobs.error} onRetry={() => void jobs.refetch()} />;
  }
  const all = jobs.data.jobs;
  if (all.length === 0) {
    return (
      <Center className="fill">
        <Stack align="center" gap={4}>
          <Title order={2} size="h4">
            No jobs yet
          </Title>
          <Text c="dimmed">Open a process list and a data file, then run one on the other.</Text>
        </Stack>
      </Center>
    );
  }
  const chosen = all.find((item) => keyOf(item) === location.job) ?? all[0];
  return (
    <section className="fill" aria-label="Jobs">
      <div style={{ maxHeight: 126, overflow: "auto", flexShrink: 0 }}>
        <Table
          aria-label="Jobs"
          highlightOnHover
          verticalSpacing={4}
          stickyHeader
          layout="fixed"
        >
          <Table.Thead>
            <Table.Tr>
              <Table.Th w={120}>State</Table.Th>
              <Table.Th w={130}>Progress</Table.Th>
              <Table.Th>Process list</Table.Th>
              <Table.Th>Dataset</Table.Th>
              <Table.Th w={100}>Run on</Table.Th>
              <Table.Th w={80} ta="right">
                Age
              </Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {all.map((item) => (
              <JobRow
                key={keyOf(item)}
                item={item}
                chosen={item === chosen}
                onOpen={() => go({ job: keyOf(item) })}
              />
            ))}
          </Table.Tbody>
        </Table>
      </div>
      {chosen && <JobDetails key={keyOf(chosen)} item={chosen} />}
    </section>
  );
}

interface RowProps {
  item: QueuedJob;
  chosen: boolean;
  onOpen: () => void;
}

function JobRow({ item, chosen, onOpen }: RowProps) {
  const { job, queue } = item;
  const { label, color } = STATE_WORDS[job.state];
  const percent = Math.floor(job.progress.percent);
  return (
    <Table.Tr className="entry" aria-current={chosen} onClick={onOpen}>
      <Table.Td>
        <Badge variant="light" color={color} size="sm">
          {label}
        </Badge>
      </Table.Td>
      <Table.Td>
        <Progress value={percent} color={color} size="sm" aria-label={`${percent} percent`} />
      </Table.Td>
      <Table.Td>
        <UnstyledButton
          onClick={(event) => {
            event.stopPropagation();
            onOpen();
          }}
          title={`${job.process_list}: ${headline(job)}`}
          w="100%"
          display="block"
        >
          <Text size="sm" truncate>
            {baseName(job.process_list)}
          </Text>
        </UnstyledButton>
      </Table.Td>
      <Table.Td>
        <Text size="sm" truncate title={job.dataset}>
          {baseName(job.dataset)}
        </Text>
      </Table.Td>
      <Table.Td>
        <Text size="sm">{QUEUE_WORDS[queue]}</Text>
      </Table.Td>
      <Table.Td ta="right">
        <Text size="xs" c="dimmed" title={formatTime(job.submitted)}>
          {formatAge(job.submitted)}
        </Text>
      </Table.Td>
    </Table.Tr>
  );
}
