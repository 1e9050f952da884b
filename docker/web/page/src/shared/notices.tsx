import { Anchor } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { LoginNeeded, SessionGone, describe } from "../session/problems";

/** Shows a failed action; a lost login or session has a panel of its own. */
export function showProblem(error: unknown): void {
  if (error instanceof LoginNeeded || error instanceof SessionGone) return;
  const { title, detail } = describe(error);
  notifications.show({ title, message: detail, color: "red", autoClose: 12_000 });
}

export function showDone(title: string, message = ""): void {
  notifications.show({ title, message, color: "teal", autoClose: 4000 });
}

/** Said once, however many requests meet it. */
export function showDataserverRestarting(): void {
  notifications.show({
    id: "dataserver-restarting",
    title: "The data server is starting again",
    message: "Pictures and file contents come back by themselves in a few seconds.",
    color: "yellow",
    autoClose: 6000,
  });
}

/** For a file of a kind that the page does not show. */
export function showDownload(name: string, url: string): void {
  notifications.show({
    id: url,
    title: name,
    message: (
      <>
        The page does not show files of this kind.{" "}
        <Anchor href={url} download={name} size="sm">
          Download it
        </Anchor>
      </>
    ),
    color: "gray",
    autoClose: 8000,
  });
}
