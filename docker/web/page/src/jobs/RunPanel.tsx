import { Button, Group, Paper, Select, Text, TextInput } from "@mantine/core";
import { IconCircleCheck, IconCircleX, IconPlayerPlay, IconPlayerSkipForward } from "@tabler/icons-react";
import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { verdictOf } from "../lists/verdicts";
import { useLocation } from "../location";
import { submitJob } from "../services/api";
import type { EngineVerdict, Queue } from "../services/types";
import { useSession } from "../session/useSession";
import { showProblem } from "../shared/notices";
import { cleanPath } from "../shared/paths";
import { keyOf } from "./jobs";
import { outputFolder } from "./outputFolder";
import { applyJob } from "./useJobs";

interface Props {
  /** "" while the list has no file. */
  filename: string;
  dirty: boolean;
  empty: boolean;
  verdicts: EngineVerdict[];
  /** How many values or steps are wrong. */
  invalid: number;
  /** Makes sure that the file holds what is shown; false if the user has to decide first. */
  settle: () => Promise<boolean>;
}

/** Looking at a result does not make it the next run's input. */
function inputOf(open: string | null): string {
  return open && !open.endsWith("_processed.nxs") ? open : "";
}

export function RunPanel({ filename, dirty, empty, verdicts, invalid, settle }: Props) {
  const session = useSession();
  const queries = useQueryClient();
  const [location, go] = useLocation();
  const [dataset, setDataset] = useState(inputOf(location.data));
  // Until somebody types a folder, it follows the dataset.
  const [typedOutput, setOutput] = useState<string | null>(null);
  const output = typedOutput ?? outputFolder(dataset, session);
  const [busy, setBusy] = useState<Queue | null>(null);
  const preferred = session.engines.find((engine) => engine.default) ?? session.engines[0];
  const [engine, setEngine] = useState(preferred?.name ?? "");
  useEffect(() => {
    const input = inputOf(location.data);
    if (input) setDataset(input);
  }, [location.data]);

  const chosen = session.engines.find((item) => item.name === engine);
  const verdict = verdictOf(engine, verdicts);
  const obstacle = obstacleOf();

  function obstacleOf(): string | null {
    if (empty) return "The list has no steps yet.";
    if (!filename) return "Save the list first: what runs is a file.";
    if (!dataset.trim()) return "Choose a dataset: open a data file, or paste its path.";
    if (!output.trim()) return "Choose a folder for the results.";
    if (chosen && !chosen.available) {
      return `${chosen.name} is not available: ${chosen.reason || "nobody said why"}`;
    }
    if (invalid > 0) {
      return invalid === 1 ? "One value is wrong; see above." : `${invalid} values are wrong; see above.`;
    }
    return verdict && !verdict.runs ? verdict.sentence : null;
  }

  const run = async (queue: Queue) => {
    setBusy(queue);
    try {
      if (!(await settle())) return;
      const submitted = await submitJob(queue, {
        process_list: filename,
        dataset: cleanPath(dataset),
        output: cleanPath(output),
        ...(engine ? { engine } : {}),
      });
      applyJob(queries, submitted);
      go({ view: "jobs", job: keyOf(submitted) });
    } catch (error) {
      showProblem(error);
    } finally {
      setBusy(null);
    }
  };

  return (
    <Paper component="section" aria-label="Run" withBorder radius={0} px="md" py="xs">
      <Group gap="sm" align="flex-end" wrap="nowrap">
        <TextInput
          label="Dataset"
          placeholder="Open a data file, or paste its path"
          value={dataset}
          onChange={(event) => setDataset(event.currentTarget.value)}
          size="xs"
          style={{ flex: 3 }}
          spellCheck={false}
          title={dataset}
        />
        <TextInput
          label="Output folder"
          value={output}
          onChange={(event) => setOutput(event.currentTarget.value)}
          size="xs"
          style={{ flex: 2 }}
          spellCheck={false}
          title={output}
        />
        <Select
          label="Engine"
          size="xs"
          w={150}
          value={engine}
          onChange={(next) => next && setEngine(next)}
          allowDeselect={false}
          data={session.engines.map((item) => ({
            value: item.name,
            label: item.version ? `${item.name} ${item.version}` : item.name,
            disabled: !item.available,
          }))}
        />
      </Group>
      <Group justify="space-between" mt="xs" wrap="nowrap" gap="sm">
        <Group gap={6} wrap="nowrap" style={{ minWidth: 0 }} role="status" aria-label="Before running">
          {obstacle ? (
            <IconCircleX size={18} color="var(--mantine-color-orange-6)" style={{ flexShrink: 0 }} />
          ) : (
            <IconCircleCheck size={18} color="var(--mantine-color-teal-6)" style={{ flexShrink: 0 }} />
          )}
          <Text size="sm" lineClamp={3}>
            {obstacle ?? verdict?.sentence ?? "Ready to run."}
            {!obstacle && dirty && " It is saved first."}
          </Text>
        </Group>
        <Group gap="xs" wrap="nowrap">
          <Button
            size="xs"
            variant="light"
            leftSection={<IconPlayerSkipForward size={16} />}
            disabled={obstacle !== null || busy !== null}
            loading={busy === "preview"}
            onClick={() => void run("preview")}
            title="Runs the list on a few slices, now"
          >
            Preview
          </Button>
          <Button
            size="xs"
            leftSection={<IconPlayerPlay size={16} />}
            disabled={obstacle !== null || busy !== null}
            loading={busy === "full"}
            onClick={() => void run("full")}
          >
            Run on everything
          </Button>
        </Group>
      </Group>
    </Paper>
  );
}
