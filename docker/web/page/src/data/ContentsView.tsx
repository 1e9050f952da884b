import { Center, Loader } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { monitor } from "../session/monitor";
import { Unreachable } from "../session/problems";
import { Contained } from "../shared/Contained";
import { ProblemAlert } from "../shared/ProblemAlert";

/** H5Web is fetched when it is first asked for; unlike `lazy`, a query can try again. */
async function fetchViewer() {
  try {
    const { default: Viewer } = await import("./FileViewer");
    return { Viewer };
  } catch {
    void monitor.suspect();
    throw new Unreachable(
      "Opening the viewer",
      "Its program could not be fetched from the session. Try again in a few seconds.",
    );
  }
}

/** Everything in a file. */
export function ContentsView({ file }: { file: string }) {
  const viewer = useQuery({
    queryKey: ["viewer"],
    queryFn: fetchViewer,
    staleTime: Infinity,
    gcTime: Infinity,
  });
  if (viewer.isPending) {
    return (
      <Center className="fill">
        <Loader aria-label="Opening the viewer" />
      </Center>
    );
  }
  if (viewer.isError) {
    return <ProblemAlert error={viewer.error} onRetry={() => void viewer.refetch()} />;
  }
  const { Viewer } = viewer.data;
  return (
    <Contained key={file}>
      <Viewer file={file} />
    </Contained>
  );
}
