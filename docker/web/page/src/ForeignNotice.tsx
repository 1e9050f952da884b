import { Alert, List, Text } from "@mantine/core";
import { useGate } from "./session/useGate";
import { sessionUrl } from "./session/client";

const LACKS = {
  api: {
    what: "The processing service (api)",
    at: "api/",
    needs: ["finding files", "opening and saving process lists", "running and following jobs"],
  },
  dataserver: {
    what: "The data server (dataserver)",
    at: "data/",
    needs: ["looking at data files"],
  },
};

/**
 * Says which programs of this session are of other making, and what the page lacks of them; shows
 * nothing if none is.
 */
export function ForeignNotice() {
  const foreign = useGate().data?.foreign ?? [];
  return foreign.map((program) => {
    const { what, at, needs } = LACKS[program];
    return (
      <Alert key={program} color="orange" title={`${what} is not the one of this page`} maw={620}>
        <Text size="sm">
          Your facility has chosen another image for it. Programs that know it reach it at{" "}
          {sessionUrl(at)}. This page lacks of it:
        </Text>
        <List size="sm">
          {needs.map((need) => (
            <List.Item key={need}>{need}</List.Item>
          ))}
        </List>
      </Alert>
    );
  });
}
