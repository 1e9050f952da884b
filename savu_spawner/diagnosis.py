"""What Kubernetes reports about a session's pod, and what that means; pure, on plain dicts.

Pods are as the API server sends them. :class:`Record` is what must be remembered between two
looks: a container that has died and runs again looks as if nothing had happened.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from savu_spawner.contract import DESCRIPTIONS, PROGRAMS, Program

WINDOW = 600.0
"""Seconds in which deaths are counted together."""
DATASERVER_DEATHS = 5
API_MEMORY_DEATHS = 2
CRASHES_AT_START = 3

PERMANENT = {
    "InvalidImageName": "has an impossible image name",
    "ErrImageNeverPull": "has an image that is not on the machine and may not be fetched",
    "ImagePullBackOff": "could not be fetched",
    "CreateContainerConfigError": "could not be set up",
}
"""Reasons of a waiting container that no waiting mends; ImagePullBackOff is the second failure."""


@dataclass(frozen=True)
class Record:
    """A running session's pod, and the deaths of its containers."""

    uid: str
    seen: Mapping[str, int] = field(default_factory=dict)
    """Deaths of each container that were seen already, those before it was ready among them."""
    deaths: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """When (seconds since 1970) the deaths since it was ready were noticed."""

    @classmethod
    def of(cls, pod: Mapping[str, Any]) -> Self:
        """Of a pod that has just become ready: what happened before is forgiven."""
        return cls(pod["metadata"]["uid"], {p: deaths(pod, p) for p in PROGRAMS})

    def observe(self, pod: Mapping[str, Any], now: float) -> Record:
        """With the deaths that ``pod`` shows and this record does not."""
        seen, noticed = dict(self.seen), dict(self.deaths)
        for program in PROGRAMS:
            count = deaths(pod, program)
            recent = tuple(when for when in noticed.get(program, ()) if now - when < WINDOW)
            noticed[program] = recent + (now,) * max(0, count - seen.get(program, 0))
            seen[program] = max(count, seen.get(program, 0))
        return Record(self.uid, seen, {name: when for name, when in noticed.items() if when})

    def to_state(self) -> dict[str, Any]:
        """As JSON, for JupyterHub's database."""
        return {
            "uid": self.uid,
            "seen": dict(self.seen),
            "deaths": {name: list(when) for name, when in self.deaths.items()},
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        return cls(
            state["uid"],
            dict(state["seen"]),
            {name: tuple(when) for name, when in state["deaths"].items()},
        )


def container_status(pod: Mapping[str, Any], program: str) -> Mapping[str, Any]:
    """One container's status; empty before the kubelet reports any."""
    for status in pod["status"].get("containerStatuses") or []:
        if status["name"] == program:
            return status  # type: ignore[no-any-return]
    return {}


def deaths(pod: Mapping[str, Any], program: str) -> int:
    """How often this container has ended since the pod was made."""
    status = container_status(pod, program)
    count = int(status.get("restartCount", 0))
    state = status.get("state") or {}
    ended = "terminated" in state or (
        "waiting" in state and bool((status.get("lastState") or {}).get("terminated"))
    )
    return count + ended


def last_death(pod: Mapping[str, Any], program: str) -> Mapping[str, Any]:
    """How this container ended the last time: ``exitCode``, ``reason``, ``message``."""
    status = container_status(pod, program)
    for state in (status.get("state"), status.get("lastState")):
        if state and state.get("terminated"):
            return state["terminated"]  # type: ignore[no-any-return]
    return {}


def end_of(pod: Mapping[str, Any] | None, record: Record) -> str | None:
    """Why the session of this pod is over, in a sentence; None while it lives.

    ``record`` has observed ``pod`` already.
    """
    if pod is None:
        return "The session's pod is gone: it was deleted, or its machine was taken away."
    if pod["metadata"]["uid"] != record.uid:
        return "The session's pod was replaced by another."
    if reason := pod_failure(pod):
        return reason
    for program in ("web", "gate"):
        if record.deaths.get(program):
            return _ended(pod, program)
    killed = record.deaths.get("api", ())
    if killed:
        for_memory = last_death(pod, "api").get("reason") == "OOMKilled"
        if not for_memory:
            return _ended(pod, "api")
        if len(killed) >= API_MEMORY_DEATHS:
            return (
                "The session needed more memory than it may have, twice in ten minutes:"
                " the processing service was killed each time."
            )
    if len(record.deaths.get("dataserver", ())) >= DATASERVER_DEATHS:
        return f"{_ended(pod, 'dataserver')} It was the fifth time in ten minutes."
    return None


def pod_failure(pod: Mapping[str, Any]) -> str | None:
    """Why the pod as a whole is over, whatever its containers say; None while it is not."""
    status = pod["status"]
    phase = status.get("phase")
    reason = status.get("reason", "")
    if reason == "Evicted":
        return "The session was evicted: its machine ran short of memory or disk."
    if reason in {"NodeLost", "NodeShutdown", "Terminated", "Shutdown"} or phase == "Unknown":
        return "The session's machine was lost or shut down."
    if "deletionTimestamp" in pod["metadata"]:
        return "The session's pod is being deleted, or its machine was lost."
    if phase in {"Failed", "Succeeded"}:
        message = status.get("message") or reason or "no reason given"
        return f"The session's pod has failed: {message}."
    return None


def start_failure(pod: Mapping[str, Any]) -> tuple[str, str] | None:
    """A sentence and details for the log, if this pod will never become ready; else None."""
    if reason := pod_failure(pod):
        return reason, str(pod["status"].get("message") or reason)
    for program, status in _statuses(pod):
        waiting = (status.get("state") or {}).get("waiting") or {}
        what = DESCRIPTIONS.get(program, program)
        if why := PERMANENT.get(waiting.get("reason", "")):
            return (
                f"A part of your session, {what}, {why}.",
                f"container {program}: {waiting['reason']}: {waiting.get('message', '')}"
                f" (image {status.get('image', '')})",
            )
        if deaths(pod, program) >= CRASHES_AT_START:
            last = last_death(pod, program)
            return (
                f"A part of your session, {what}, ended each time that it was started.",
                f"container {program}: exit code {last.get('exitCode')}"
                f" {last.get('reason', '')}: {last.get('message', '')}",
            )
    return None


def said_of(pod: Mapping[str, Any], events: Iterable[Mapping[str, Any]]) -> list[tuple[int, str]]:
    """Percent and sentence for what has been reached, in order; each is worth saying once."""
    said: list[tuple[int, str]] = []
    conditions = {c["type"]: c for c in pod["status"].get("conditions") or []}
    scheduled = conditions.get("PodScheduled", {})
    if scheduled.get("status") == "False":
        said.append((20, "Waiting for a machine with enough room…"))
    if scheduled.get("status") == "True":
        said.append((30, "A machine was found."))
    for event in events:
        container = _container_of(event)
        what = DESCRIPTIONS.get(container, "")
        if event.get("reason") == "Pulling" and what:
            said.append((35, f"Fetching {what}: the first time on a machine this takes longer…"))
        elif event.get("reason") in {"FailedMount", "FailedAttachVolume"}:
            said.append((35, "Your data could not be connected yet; trying again…"))
    ready = 0
    for program, status in _statuses(pod):
        waiting = ((status.get("state") or {}).get("waiting") or {}).get("reason", "")
        what = DESCRIPTIONS.get(program, program)
        if waiting == "ErrImagePull":
            said.append((35, f"{_capital(what)} could not be fetched; trying once more…"))
        elif waiting == "CrashLoopBackOff":
            said.append((40, f"{_capital(what)} ended while it started; trying again…"))
        elif status.get("ready"):
            ready += 1
            said.append((40 + 10 * ready, f"{_capital(what)} is ready."))
    return said


def not_ready(pod: Mapping[str, Any] | None) -> list[Program]:
    """Programs that are not ready."""
    if pod is None:
        return list(PROGRAMS)
    return [program for program in PROGRAMS if not container_status(pod, program).get("ready")]


def is_ready(pod: Mapping[str, Any] | None) -> bool:
    """Every container is ready, and the session can be reached."""
    if pod is None or "deletionTimestamp" in pod["metadata"]:
        return False
    status = pod["status"]
    return bool(
        status.get("phase") == "Running"
        and status.get("podIP")
        and status.get("containerStatuses")
        and all(container["ready"] for container in status["containerStatuses"])
    )


def _statuses(pod: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Statuses of the session's own containers, in the order of the contract."""
    return [(program, container_status(pod, program)) for program in PROGRAMS]


def _container_of(event: Mapping[str, Any]) -> str:
    path = str((event.get("involvedObject") or {}).get("fieldPath") or "")
    return path.removeprefix("spec.containers{").removesuffix("}")


def _ended(pod: Mapping[str, Any], program: str) -> str:
    last = last_death(pod, program)
    what = _capital(DESCRIPTIONS[program])
    if last.get("reason") == "OOMKilled":
        return f"{what} was killed because it needed more memory than it may have."
    code = last.get("exitCode")
    return f"{what} ended unexpectedly" + (f" (exit code {code})." if code is not None else ".")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
