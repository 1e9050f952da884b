import { afterEach, describe, expect, test, vi } from "vitest";
import { askWhy } from "./ended";

const PLACE = { hub: "/hub/", user: "ada", server: "" };
const ENDED = { when: "2026-03-02T03:04:05+00:00", reason: "It was idle." };

function hubThatSays(...answers: (unknown | Error)[]) {
  const asked = vi.fn(() => {
    const answer = answers.length > 1 ? answers.shift() : answers[0];
    return answer instanceof Error
      ? Promise.reject(answer)
      : Promise.resolve(new Response(JSON.stringify(answer)));
  });
  vi.stubGlobal("fetch", asked);
  return asked;
}

const noWait = () => Promise.resolve();

afterEach(() => vi.unstubAllGlobals());

describe("the question why a session ended", () => {
  test("is put again while the hub is still ending it", async () => {
    const asked = hubThatSays(null, null, ENDED);
    await expect(askWhy(PLACE, noWait)).resolves.toEqual(ENDED);
    expect(asked).toHaveBeenCalledTimes(3);
  });

  test("is given up if the hub never knows", async () => {
    hubThatSays(null);
    await expect(askWhy(PLACE, noWait)).resolves.toBeNull();
  });

  test("is not put to a hub that cannot be reached", async () => {
    const asked = hubThatSays(new TypeError("Failed to fetch"));
    await expect(askWhy(PLACE, noWait)).resolves.toBeNull();
    expect(asked).toHaveBeenCalledTimes(1);
  });
});
