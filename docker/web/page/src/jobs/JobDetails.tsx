import { Alert, Badge, Button, Group, Progress, Stack, Tabs, Text, Title } from "@mantine/core";
import {
  IconAlertTriangle,
  IconDownload,
  IconFileAnalytics,
  IconListDetails,
  IconPlayerStop,
  IconX,
} from "@tabler/icons-react";
import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { useLocation } from "../location";
import { cancelJob, downloadUrl, forgetJob } from "../services/api";
import type { QueuedJob } from "../services/types";
import { CopyPathButton } from "../shared/CopyPathButton";
import { showProblem } from "../shared/notices";
import { baseName } from "../shared/paths";
import { formatDuration } from "../shared/quantities";
import { JobLog } from "./JobLog";
import { ResultView } from "./ResultView";
import { QUEUE_WORDS, STATE_WORDS, elapsed, headline, isFinished, keyOf, withoutJob } from "./jobs";
import { applyJob } from "./useJobs";

export function JobDetails({ item }: { item: QueuedJob }) {
  const { queue, job } = item;
  const [, go] = useLocation();
  const queries = useQueryClient();
  const [busy, setBusy] = useState(false);
  const [tab, setTab] = useState<string | null>(null);
  const { label, color } = STATE_WORDS[job.state];
  const percent = Math.floor(job.progress.percent);
  const resultFile = job.result?.path ?? job.output_dataset;

  const act = async (action: () => Promise<void>) => {
    setBusy(true);
    try {
      await action();
    } catch (error) {
      showProblem(error);
    } finally {
      setBusy(false);
    }
  };
  const cancel = () =>
    act(async () => applyJob(queries, await cancelJob(queue, job.id)));
  const forget = () =>
    act(async () => {
      await forgetJob(queue, job.id);
      queries.setQueryData<{ jobs: QueuedJob[] }>(["jobs"], (before) => ({
        jobs: withoutJob(before?.jobs ?? [], keyOf(item)),
      }));
      go({ job: null }, "replace");
    });

  return (
    <div className="fill" style={{ borderTop: "1px solid var(--mantine-color-default-border)" }}>
      <Stack gap="xs" px="md" pt="xs">
        <Group justify="space-between" wrap="nowrap">
          <Group gap="xs" wrap="nowrap" style={{ minWidth: 0 }}>
            <Badge color={color} role="status" aria-label="State of the job">
              {label}
            </Badge>
            <Title order={2} size="h5" lineClamp={1} className="path" title={job.output}>
              {baseName(job.output)}
            </Title>
            <Elapsed item={item} />
          </Group>
          <Group gap={6} wrap="nowrap">
            {!isFinished(job.state) && (
              <Button
                size="xs"
                variant="light"
                color="red"
                leftSection={<IconPlayerStop size={16} />}
                loading={busy}
                onClick={() => void cancel()}
              >
                Cancel job
              </Button>
            )}
            <Button
              size="xs"
              variant="default"
              leftSection={<IconListDetails size={16} />}
              onClick={() => go({ view: "list", list: job.process_list })}
            >
              Open process list
            </Button>
            {isFinished(job.state) && (
              <Button
                size="xs"
                variant="default"
                leftSection={<IconX size={16} />}
                loading={busy}
                title="The files stay where they are"
                onClick={() => void forget()}
              >
                Remove from list
              </Button>
            )}
          </Group>
        </Group>
        {!isFinished(job.state) && (
          <Group gap="sm" wrap="nowrap">
            <Progress
              value={percent}
              style={{ flex: 1 }}
              size="lg"
              aria-label="Progress"
              animated={job.state === "running"}
            />
            <Text size="sm" w={48} ta="right">
              {percent} %
            </Text>
            <Text size="sm" c="dimmed" role="status" aria-label="Doing">
              {headline(job)}
            </Text>
          </Group>
        )}
        {job.state === "failed" && (
          <Alert color="red" icon={<IconAlertTriangle />} title="The job failed" py="xs" role="alert">
            {job.message || "The log says more."}
          </Alert>
        )}
        {job.state === "cancelled" && (
          <Alert color="yellow" py="xs">
            {job.message || "The job was cancelled."}
            {job.incomplete && " Its output folder holds an unfinished result."}
          </Alert>
        )}
        {resultFile && job.successful && (
          <Group gap={6} wrap="nowrap">
            <Button
              style={{ flexShrink: 0 }}
              size="xs"
              variant="light"
              leftSection={<IconFileAnalytics size={16} />}
              onClick={() => go({ view: "data", data: resultFile })}
            >
              Open result
            </Button>
            <CopyPathButton path={resultFile} label="Copy result path" wide />
            <Button
              component="a"
              href={downloadUrl(resultFile)}
              download={baseName(resultFile)}
              style={{ flexShrink: 0 }}
              size="xs"
              variant="default"
              leftSection={<IconDownload size={16} />}
            >
              Download result
            </Button>
            <Text
              size="xs"
              c="dimmed"
              ff="monospace"
              truncate="start"
              title={resultFile}
              aria-label="Path of the result"
              role="note"
            >
              {/* Cut off at its start, which CSS does by writing from right to left. */}
              <bdi>{resultFile}</bdi>
            </Text>
          </Group>
        )}
      </Stack>
      <Tabs
        value={tab ?? (job.result ? "result" : "log")}
        onChange={setTab}
        variant="pills"
        className="fill"
        px="md"
        py="xs"
        keepMounted={false}
      >
        <Tabs.List aria-label="Views of the job">
          {job.result && <Tabs.Tab value="result">Result</Tabs.Tab>}
          <Tabs.Tab value="log">Log</Tabs.Tab>
          <Tabs.Tab value="details">Details</Tabs.Tab>
        </Tabs.List>
        {job.result && (
          <Tabs.Panel value="result" className="fill" pt="xs">
            <ResultView job={job} result={job.result} />
          </Tabs.Panel>
        )}
        <Tabs.Panel value="log" className="fill" pt="xs">
          <JobLog item={item} />
        </Tabs.Panel>
        <Tabs.Panel value="details" className="scroll" pt="xs">
          <Facts item={item} />
        </Tabs.Panel>
      </Tabs>
    </div>
  );
}

function Elapsed({ item: { job } }: { item: QueuedJob }) {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    if (job.state !== "running") return;
    const clock = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(clock);
  }, [job.state]);
  const seconds = elapsed(job, now);
  if (seconds === null) return null;
  return (
    <Text size="sm" c="dimmed" style={{ whiteSpace: "nowrap" }}>
      {formatDuration(seconds)}
    </Text>
  );
}

function Facts({ item: { queue, job } }: { item: QueuedJob }) {
  const facts: [name: string, value: string][] = [
    ["Process list", job.process_list],
    ["Dataset", job.dataset],
    ["Output", job.output],
    ["Log file", job.logfile ?? ""],
    ["Engine", job.engine],
    ["Run on", QUEUE_WORDS[queue]],
  ];
  return (
    <Stack gap={4}>
      {facts.map(([name, value]) => (
        <Group key={name} gap="sm" wrap="nowrap" align="center">
          <Text size="sm" w={110} fw={500}>
            {name}
          </Text>
          <Text size="sm" className="path">
            {value}
          </Text>
          {value.startsWith("/") && (
            <CopyPathButton path={value} label={`Copy path: ${name.toLowerCase()}`} />
          )}
        </Group>
      ))}
    </Stack>
  );
}
