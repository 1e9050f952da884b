import { Accordion, Alert, Anchor, Center, Stack, Text, Title } from "@mantine/core";
import { IconAlertTriangle } from "@tabler/icons-react";
import type { EngineVerdict, Parameter, StepError } from "../services/types";
import { ParameterInput } from "./ParameterInput";
import { positionOf, setValue, type Draft } from "./draft";
import { problemsOf } from "./verdicts";

interface Props {
  draft: Draft;
  verdicts: EngineVerdict[];
  errors: StepError[];
  change: (next: (draft: Draft) => Draft) => void;
}

const GROUPS = [
  { visibility: "basic", title: "Basic" },
  { visibility: "intermediate", title: "Intermediate" },
  { visibility: "advanced", title: "Advanced" },
  { visibility: "datasets", title: "Datasets" },
];

export function StepParameters({ draft, verdicts, errors, change }: Props) {
  const step = draft.steps.find((item) => item.key === draft.selected);
  if (!step) {
    return (
      <Center className="fill">
        <Text c="dimmed">Choose a step to see its parameters.</Text>
      </Center>
    );
  }
  const position = positionOf(draft, step.key);
  const mine = errors.filter((error) => error.pos === String(position));
  const general = problemsOf(
    step,
    position,
    verdicts,
    mine.filter((error) => !error.parameter),
  );
  return (
    <div className="scroll" role="region" aria-label={`Parameters of ${step.name}`}>
      <Stack p="md" gap="xs" maw={760}>
        <Title order={3} size="h4">
          {step.name}
        </Title>
        {step.synopsis && <Text size="sm">{step.synopsis}</Text>}
        {step.docLink && (
          <Anchor href={step.docLink} target="_blank" rel="noreferrer" size="sm">
            Documentation
          </Anchor>
        )}
        {step.warn && (
          <Text size="sm" c="orange">
            {step.warn}
          </Text>
        )}
        {general.length > 0 && (
          <Alert color="orange" icon={<IconAlertTriangle />} py="xs">
            {general.join(" ")}
          </Alert>
        )}
        <Accordion
          key={step.key}
          multiple
          defaultValue={["basic", "intermediate"]}
          variant="default"
        >
          {groupsOf(step.parameters).map(({ visibility, title, parameters }) => (
            <Accordion.Item key={visibility} value={visibility}>
              <Accordion.Control>
                <Text fw={600} size="sm">
                  {title}
                </Text>
              </Accordion.Control>
              <Accordion.Panel>
                <Stack gap="md">
                  {parameters.map((parameter) => (
                    <ParameterInput
                      key={parameter.name}
                      parameter={parameter}
                      error={mine.find((error) => error.parameter === parameter.name)?.message}
                      onChange={(value) =>
                        change((before) => setValue(before, step.key, parameter.name, value))
                      }
                    />
                  ))}
                </Stack>
              </Accordion.Panel>
            </Accordion.Item>
          ))}
        </Accordion>
        {step.parameters.length === 0 && (
          <Text size="sm" c="dimmed">
            This plugin has no parameters.
          </Text>
        )}
      </Stack>
    </div>
  );
}

/** Parameters by who needs them; a visibility nobody knows counts as advanced. */
function groupsOf(parameters: Parameter[]) {
  const known = new Set([...GROUPS.map((group) => group.visibility), "hidden"]);
  return GROUPS.map((group) => ({
    ...group,
    parameters: parameters.filter(({ visibility }) =>
      group.visibility === "advanced"
        ? visibility === "advanced" || !known.has(visibility)
        : visibility === group.visibility,
    ),
  })).filter((group) => group.parameters.length > 0);
}
