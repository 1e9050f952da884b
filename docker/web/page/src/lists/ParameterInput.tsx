import { ActionIcon, Group, Select, Switch, Text, TextInput, Tooltip } from "@mantine/core";
import { IconInfoCircle, IconRotate } from "@tabler/icons-react";
import type { Parameter } from "../services/types";
import { complaint, inputKind, isTrue, tuningCount } from "./values";

interface Props {
  parameter: Parameter;
  /** What the API says about the value. */
  error?: string;
  onChange: (value: string) => void;
}

/** One parameter, with the input that fits its type; the label is the parameter's own name. */
export function ParameterInput({ parameter, error, onChange }: Props) {
  const { name, value, type } = parameter;
  const summary =
    typeof parameter.description === "string"
      ? parameter.description
      : (parameter.description?.summary ?? "");
  const verbose =
    typeof parameter.description === "object" ? parameter.description?.verbose : undefined;
  const fallback = parameter.default ?? null;
  const wrong = error ?? complaint(value, type);
  const count = tuningCount(value);
  return (
    <Group gap={4} wrap="nowrap" align="flex-start">
      <div style={{ flex: 1, minWidth: 0 }}>
        <Input parameter={parameter} description={summary} error={wrong} onChange={onChange} />
        {count > 1 && !wrong && (
          <Text size="xs" c="dimmed">
            Tuning: {count} values make {count} results.
          </Text>
        )}
      </div>
      <Group gap={0} wrap="nowrap" pt={22} w={56}>
        {fallback !== null && fallback !== value && (
          <Tooltip label={`Back to the default: ${fallback === "" ? "(empty)" : fallback}`}>
            <ActionIcon
              variant="subtle"
              color="gray"
              aria-label={`Reset ${name} to ${fallback}`}
              onClick={() => onChange(fallback)}
            >
              <IconRotate size={16} />
            </ActionIcon>
          </Tooltip>
        )}
        {verbose && (
          <Tooltip label={verbose} multiline maw={420} events={{ hover: true, focus: true, touch: true }}>
            <ActionIcon variant="subtle" color="gray" aria-label={`About ${name}`}>
              <IconInfoCircle size={16} />
            </ActionIcon>
          </Tooltip>
        )}
      </Group>
    </Group>
  );
}

interface InputProps {
  parameter: Parameter;
  description: string;
  error: string | null;
  onChange: (value: string) => void;
}

function Input({ parameter, description, error, onChange }: InputProps) {
  const { name, value, type, options } = parameter;
  switch (inputKind(type, options)) {
    case "options":
      return (
        <Select
          label={name}
          description={description}
          error={error}
          data={choices(options ?? [], value)}
          value={value}
          onChange={(next) => next !== null && onChange(next)}
          allowDeselect={false}
          searchable={(options ?? []).length > 8}
        />
      );
    case "switch":
      return (
        <Switch
          label={name}
          description={description}
          error={error}
          checked={isTrue(value)}
          onChange={(event) => onChange(event.currentTarget.checked ? "True" : "False")}
        />
      );
    case "text":
      return (
        <TextInput
          label={name}
          description={description}
          error={error}
          value={value}
          onChange={(event) => onChange(event.currentTarget.value)}
          rightSection={<TypeNote type={type} />}
          rightSectionWidth={type ? 110 : undefined}
          rightSectionPointerEvents="none"
          styles={{ input: { fontFamily: "var(--mantine-font-family-monospace)" } }}
          spellCheck={false}
          autoComplete="off"
        />
      );
  }
}

function TypeNote({ type }: { type: string | undefined }) {
  if (!type) return null;
  return (
    <Text size="xs" c="dimmed" truncate w={100} ta="right" pr={8} title={type} aria-hidden>
      {type}
    </Text>
  );
}

/** Options may be tuned ("FBP;SIRT") or come from a newer Savu: such a value stays choosable. */
function choices(options: [string, string][], value: string) {
  const known = options.map(([option, text]) => ({
    value: option,
    label: text && text !== option ? `${option} — ${text}` : option,
  }));
  return known.some((option) => option.value === value)
    ? known
    : [...known, { value, label: value }];
}
