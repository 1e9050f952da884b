import { ActionIcon, Button, Group, Stack, Switch, Text, Tooltip, UnstyledButton } from "@mantine/core";
import {
  IconAlertTriangle,
  IconArrowDown,
  IconArrowUp,
  IconCopyPlus,
  IconPlus,
  IconTrash,
} from "@tabler/icons-react";
import type { EngineVerdict, StepError } from "../services/types";
import {
  duplicateStep,
  moveStep,
  removeStep,
  selectStep,
  setActive,
  type Draft,
  type DraftStep,
} from "./draft";
import { problemsOf } from "./verdicts";
import classes from "./StepList.module.css";

interface Props {
  draft: Draft;
  verdicts: EngineVerdict[];
  errors: StepError[];
  change: (next: (draft: Draft) => Draft) => void;
  onAdd: () => void;
}

export function StepList({ draft, verdicts, errors, change, onAdd }: Props) {
  return (
    <Stack gap={0} className={classes.pane}>
      <div className="scroll">
        <ol className={classes.list} aria-label="Steps">
          {draft.steps.map((step, index) => (
            <StepRow
              key={step.key}
              step={step}
              position={index + 1}
              count={draft.steps.length}
              selected={step.key === draft.selected}
              problems={problemsOf(step, index + 1, verdicts, errors)}
              change={change}
            />
          ))}
        </ol>
        {draft.steps.length === 0 && (
          <Stack p="md" align="flex-start" gap="xs">
            <Text size="sm" c="dimmed">
              A list begins with a loader, such as NxtomoLoader.
            </Text>
            <Button variant="light" size="xs" leftSection={<IconPlus size={16} />} onClick={onAdd}>
              Add the first plugin
            </Button>
          </Stack>
        )}
      </div>
    </Stack>
  );
}

interface RowProps {
  step: DraftStep;
  position: number;
  count: number;
  selected: boolean;
  problems: string[];
  change: Props["change"];
}

function StepRow({ step, position, count, selected, problems, change }: RowProps) {
  const onKeyDown = (event: React.KeyboardEvent) => {
    if (event.altKey && event.key === "ArrowUp") change((d) => moveStep(d, step.key, -1));
    else if (event.altKey && event.key === "ArrowDown") change((d) => moveStep(d, step.key, 1));
    else if (event.key === "Delete") change((d) => removeStep(d, step.key));
    else return;
    event.preventDefault();
  };
  return (
    <li className={classes.step} data-selected={selected} data-active={step.active}>
      <Group gap="xs" wrap="nowrap">
        <Switch
          size="xs"
          aria-label={`${step.name} (step ${position}) on`}
          checked={step.active}
          onChange={(event) => {
            const { checked } = event.currentTarget;
            change((d) => setActive(d, step.key, checked));
          }}
        />
        <UnstyledButton
          className={classes.name}
          aria-current={selected ? "step" : undefined}
          aria-label={`Step ${position}: ${step.name}`}
          aria-keyshortcuts="Alt+ArrowUp Alt+ArrowDown Delete"
          onClick={() => change((d) => selectStep(d, step.key))}
          onKeyDown={onKeyDown}
        >
          <Text size="sm" c="dimmed" component="span" w={20}>
            {position}
          </Text>
          <Text size="sm" component="span" truncate fw={selected ? 600 : 400}>
            {step.name}
          </Text>
        </UnstyledButton>
        {problems.length > 0 && (
          <Tooltip label={problems.join(" ")} multiline maw={320}>
            <IconAlertTriangle
              size={18}
              color="var(--mantine-color-orange-6)"
              role="img"
              aria-label={problems.join(" ")}
              style={{ flexShrink: 0 }}
            />
          </Tooltip>
        )}
      </Group>
      {selected && (
        <Group gap={2} pl={34}>
          <StepAction
            label={`Move ${step.name} up`}
            disabled={position === 1}
            onClick={() => change((d) => moveStep(d, step.key, -1))}
          >
            <IconArrowUp size={16} />
          </StepAction>
          <StepAction
            label={`Move ${step.name} down`}
            disabled={position === count}
            onClick={() => change((d) => moveStep(d, step.key, 1))}
          >
            <IconArrowDown size={16} />
          </StepAction>
          <StepAction
            label={`Duplicate ${step.name}`}
            onClick={() => change((d) => duplicateStep(d, step.key))}
          >
            <IconCopyPlus size={16} />
          </StepAction>
          <StepAction
            label={`Remove ${step.name}`}
            onClick={() => change((d) => removeStep(d, step.key))}
          >
            <IconTrash size={16} />
          </StepAction>
        </Group>
      )}
    </li>
  );
}

interface ActionProps {
  label: string;
  disabled?: boolean;
  onClick: () => void;
  children: React.ReactNode;
}

function StepAction({ label, disabled, onClick, children }: ActionProps) {
  return (
    <Tooltip label={label} openDelay={500}>
      <ActionIcon
        variant="subtle"
        color="gray"
        size="sm"
        aria-label={label}
        disabled={disabled}
        onClick={onClick}
      >
        {children}
      </ActionIcon>
    </Tooltip>
  );
}
