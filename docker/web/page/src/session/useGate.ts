import { useQuery } from "@tanstack/react-query";
import { requestJson, sessionUrl } from "./client";

/** What the gate knows of this session. */
interface Gate {
  /** Others than the owner who were let in, the latest first. */
  entries: { name: string; kind: string; first: string; last: string }[];
  /** Programs that are not the ones that this page is made for. */
  foreign: ("api" | "dataserver")[];
}

export function useGate() {
  return useQuery({
    queryKey: ["gate"],
    queryFn: ({ signal }) =>
      requestJson<Gate>(sessionUrl("internal/entries"), {
        action: "Asking who else was here",
        signal,
        background: true,
      }),
    refetchInterval: 60_000,
    retry: false,
  });
}
