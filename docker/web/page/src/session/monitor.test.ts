import { describe, expect, test, vi } from "vitest";
import { SessionMonitor, type SessionState } from "./monitor";

function monitorThatHears(...answers: SessionState[]) {
  const waits: number[] = [];
  const probe = vi.fn(() => Promise.resolve(answers.shift() ?? "suspected"));
  const wait = (seconds: number) => {
    waits.push(seconds);
    return Promise.resolve();
  };
  return { monitor: new SessionMonitor(probe, wait), probe, waits };
}

describe("the monitor", () => {
  test("takes a session that answers again for running", async () => {
    const { monitor, probe } = monitorThatHears("suspected", "suspected", "running");
    await monitor.suspect();
    expect(monitor.state).toBe("running");
    expect(probe).toHaveBeenCalledTimes(3);
  });

  test("gives up within ten seconds", async () => {
    const { monitor, waits } = monitorThatHears();
    await monitor.suspect();
    expect(monitor.state).toBe("ended");
    expect(waits.reduce((sum, seconds) => sum + seconds)).toBeLessThanOrEqual(10);
  });

  test("asks once for many requests that fail together", async () => {
    const { monitor, probe } = monitorThatHears("running");
    await Promise.all([monitor.suspect(), monitor.suspect(), monitor.suspect()]);
    expect(probe).toHaveBeenCalledTimes(1);
  });

  test("says at once that a session is gone when the hub says so", () => {
    const { monitor } = monitorThatHears();
    const heard = vi.fn();
    monitor.subscribe(heard);
    monitor.gone();
    expect(monitor.state).toBe("ended");
    expect(heard).toHaveBeenCalledTimes(1);
  });

  test("does not take an ended session for one that lacks a login", async () => {
    const { monitor, probe } = monitorThatHears("running");
    monitor.gone();
    monitor.loginNeeded();
    await monitor.suspect();
    expect(monitor.state).toBe("ended");
    expect(probe).not.toHaveBeenCalled();
  });
});
