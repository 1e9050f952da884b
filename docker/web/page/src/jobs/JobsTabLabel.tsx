import { Badge, Group } from "@mantine/core";
import { useJobs } from "./useJobs";

/** "Jobs", and how far the running one is, whichever tab is open. */
export function JobsTabLabel() {
  const jobs = useJobs().data?.jobs ?? [];
  const running = jobs.find(({ job }) => job.state === "running");
  const waiting = jobs.filter(({ job }) => job.state === "queued").length;
  return (
    <Group gap={6} wrap="nowrap">
      Jobs
      {running && (
        <Badge size="sm" variant="light" circle={false}>
          {Math.floor(running.job.progress.percent)} %
        </Badge>
      )}
      {waiting > 0 && (
        <Badge size="sm" variant="light" color="gray">
          {waiting} waiting
        </Badge>
      )}
    </Group>
  );
}
