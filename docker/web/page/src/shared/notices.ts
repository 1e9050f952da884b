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
