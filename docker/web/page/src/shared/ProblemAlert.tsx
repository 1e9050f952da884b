import { Alert, Button, Group, Text } from "@mantine/core";
import { IconAlertTriangle } from "@tabler/icons-react";
import type { ReactNode } from "react";
import { describe } from "../session/problems";

interface Props {
  error: unknown;
  onRetry?: () => void;
  children?: ReactNode;
}

/** What failed and what to do, where the answer would have been. */
export function ProblemAlert({ error, onRetry, children }: Props) {
  const { title, detail } = describe(error);
  return (
    <Alert role="alert" color="red" icon={<IconAlertTriangle />} title={title} m="xs">
      <Text size="sm" style={{ overflowWrap: "anywhere" }}>
        {detail}
      </Text>
      {(onRetry ?? children) && (
        <Group mt="sm" gap="xs">
          {onRetry && (
            <Button size="xs" variant="light" color="red" onClick={onRetry}>
              Try again
            </Button>
          )}
          {children}
        </Group>
      )}
    </Alert>
  );
}
