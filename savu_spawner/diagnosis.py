"""What Kubernetes reports about a session's pod, and what that means; pure, on plain dicts.

Pods are as the API server sends them. :class:`Record` is what must be remembered between two
looks: a container that has died and runs again looks as if nothing had happened.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from savu_spawner.contract import DESCRIPTIONS, PROGRAMS, Program

WINDOW = 600.0
"""Seconds in which deaths are counted together."""
DATASERVER_DEATHS = 5
API_MEMORY_DEATHS = 2
CRASHES_AT_START = 3

SIGKILL_CODE = 137
"""Exit code of a container whose first process was killed: 128 + 9."""

FAILED_PULLS = 2
"""Of one image, after which it is given up; a registry that was busy gets its second chance."""
FAILED_MOUNTS = 3
"""Of a folder that is not on the machine: an automounter may be slow, but not that slow."""

CANNOT_HEAL = frozenset({78, 126, 127})
"""Exit codes: misconfigured (``EX_CONFIG``), and a command that cannot be run or is not there."""

ABSENT_IMAGE = re.compile(
    r"not found|does not exist|manifest unknown|denied|unauthorized|forbidden|invalid reference",
    re.IGNORECASE,
)
"""What registries say of an image that will not be there a minute later either."""

ABSENT_OBJECT = re.compile(
    r"(?P<kind>persistentvolumeclaim|configmap|secret) \"?(?P<name>[^\s\"]+)\"? not found",
    re.IGNORECASE,
)


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
    if killed := record.deaths.get("api", ()):
        last = last_death(pod, "api")
        # The kernel may kill the whole container for memory, of which a kubelet does not always
        # learn the reason.
        if last.get("reason") != "OOMKilled" and last.get("exitCode") != SIGKILL_CODE:
            return _ended(pod, "api")
        if len(killed) >= API_MEMORY_DEATHS:
            return (
                "The session needed more memory than it may have, twice in ten minutes:"
                " the processing service was killed each time."
            )
    if len(record.deaths.get("dataserver", ())) >= DATASERVER_DEATHS:
        return f"{_ended(pod, 'dataserver')} It was the fifth time in ten minutes."
    return None


def is_on_lost_node(pod: Mapping[str, Any]) -> bool:
    """Whether its machine has stopped to answer, so that nobody knows what still runs there.

    The node controller then takes back the pod's condition ``Ready``, and leaves what the kubelet
    said last of the containers.
    """
    return (
        _condition(pod, "Ready").get("status") == "False"
        and _condition(pod, "ContainersReady").get("status") == "True"
        and not pod.get("spec", {}).get("readinessGates")
    )


def pod_failure(pod: Mapping[str, Any]) -> str | None:
    """Why the pod as a whole is over, whatever its containers say; None while it is not."""
    status = pod["status"]
    phase = status.get("phase")
    reason = status.get("reason", "")
    if reason == "Evicted":
        return "The session was evicted: its machine ran short of memory or disk."
    if reason in {"NodeLost", "NodeShutdown", "Terminated", "Shutdown"} or phase == "Unknown":
        return "The session's machine was lost or shut down."
    if is_on_lost_node(pod):
        return "The session's machine was lost: it no longer answers."
    if "deletionTimestamp" in pod["metadata"]:
        return "The session's pod was deleted."
    if phase in {"Failed", "Succeeded"}:
        message = status.get("message") or reason or "no reason given"
        return f"The session's pod has failed: {message}."
    return None


@dataclass(frozen=True)
class Failure:
    """Why a start cannot succeed."""

    sentence: str
    """For the user."""
    details: str
    """For the hub's log: Kubernetes' own words."""


def start_failure(pod: Mapping[str, Any], events: Sequence[Mapping[str, Any]]) -> Failure | None:
    """Why this pod will never become ready; None while it still may.

    ``events`` are the pod's own, in any order.
    """
    if reason := pod_failure(pod):
        return Failure(reason, str(pod["status"].get("message") or reason))
    if failure := _missing_object(pod, events):
        return failure
    for program in PROGRAMS:
        if failure := _image_failure(pod, program, events) or _container_failure(pod, program):
            return failure
    return None


def _missing_object(pod: Mapping[str, Any], events: Sequence[Mapping[str, Any]]) -> Failure | None:
    """What the pod refers to and the cluster does not have."""
    scheduled = _condition(pod, "PodScheduled")
    told = [str(scheduled.get("message", ""))] if scheduled.get("status") == "False" else []
    mounts = [event for event in events if event.get("reason") == "FailedMount"]
    told += [str(event.get("message", "")) for event in mounts]
    for message in told:
        if found := ABSENT_OBJECT.search(message):
            claim = found["kind"].lower() == "persistentvolumeclaim"
            what = "Your data cannot be connected" if claim else "Your session cannot be set up"
            return Failure(
                f"{what}: the cluster has no {found['kind'].lower()} “{found['name']}”.", message
            )
    absent = [event for event in mounts if "hostPath type check failed" in event["message"]]
    if _times(absent) >= FAILED_MOUNTS:
        return Failure(
            "Your data cannot be connected: its folder is not on the machine of your session.",
            absent[-1]["message"],
        )
    return None


def _image_failure(
    pod: Mapping[str, Any], program: Program, events: Sequence[Mapping[str, Any]]
) -> Failure | None:
    waiting = (container_status(pod, program).get("state") or {}).get("waiting") or {}
    reason, message = waiting.get("reason", ""), str(waiting.get("message", ""))
    pulls = [
        event
        for event in events
        if _container_of(event) == program
        and event.get("reason") == "Failed"
        and str(event.get("message", "")).startswith("Failed to pull image")
    ]
    if reason in {"ErrImagePull", "ImagePullBackOff"}:
        absent = ABSENT_IMAGE.search(" ".join([message, *(e["message"] for e in pulls)]))
        if not absent and _failed_pulls(program, reason, pulls, events) < FAILED_PULLS:
            return None
        why = "was not found, or may not be fetched" if absent else "could not be fetched"
    elif reason == "ErrImageNeverPull":
        why = "is not on the machine, and may not be fetched"
    elif reason == "InvalidImageName":
        why = "has an impossible name"
    else:
        return None
    image = _image(pod, program)
    details = pulls[-1]["message"] if pulls else message
    what = f"A part of your session, {DESCRIPTIONS[program]}, cannot start"
    return Failure(
        f"{what}: its image “{image}” {why}.",
        f"container {program}: {reason}: {details} (image {image})",
    )


def _failed_pulls(
    program: Program,
    reason: str,
    pulls: Sequence[Mapping[str, Any]],
    events: Sequence[Mapping[str, Any]],
) -> int:
    """How often an image could not be fetched.

    A kubelet leaves events out when there are many, but tells of each try that begins; and it shows
    ErrImagePull only between the end of a try and the pause after it.
    """
    begun = _times(
        event
        for event in events
        if _container_of(event) == program and event.get("reason") == "Pulling"
    )
    return max(_times(pulls), begun if reason == "ErrImagePull" else begun - 1)


def _container_failure(pod: Mapping[str, Any], program: Program) -> Failure | None:
    waiting = (container_status(pod, program).get("state") or {}).get("waiting") or {}
    reason, message = waiting.get("reason", ""), str(waiting.get("message", ""))
    what = f"A part of your session, {DESCRIPTIONS[program]},"
    # “failed to sync secret cache: timed out” mends itself.
    if reason == "CreateContainerConfigError" and "timed out" not in message:
        why = "may not run as it is set up" if "runAsNonRoot" in message else "cannot be set up"
        return Failure(f"{what} {why}.", f"container {program}: {reason}: {message}")
    last = last_death(pod, program)
    cannot = last.get("reason") in {"StartError", "ContainerCannotRun"}
    if not last or not (
        cannot or last.get("exitCode") in CANNOT_HEAL or deaths(pod, program) >= CRASHES_AT_START
    ):
        return None
    said = str(last.get("message") or "").strip().splitlines()
    if last.get("reason") == "OOMKilled":
        sentence = f"{what} needs more memory than it may have."
    elif cannot:
        sentence = f"{what} cannot be started."
    else:
        sentence = f"{what} ends as soon as it is started" + (f": {said[-1]}" if said else ".")
    return Failure(
        sentence,
        f"container {program}: exit code {last.get('exitCode')} {last.get('reason', '')}:"
        f" {last.get('message', '')}",
    )


def said_of(pod: Mapping[str, Any], events: Iterable[Mapping[str, Any]]) -> list[tuple[int, str]]:
    """Percent and sentence for what has been reached, in order; each is worth saying once."""
    said: list[tuple[int, str]] = []
    scheduled = _condition(pod, "PodScheduled")
    if scheduled.get("status") == "False":
        waits_for_data = "PersistentVolumeClaim" in str(scheduled.get("message", ""))
        said.append(
            (20, "Waiting for your data to be connected…")
            if waits_for_data
            else (20, "Waiting for a machine with enough room…")
        )
    if scheduled.get("status") == "True":
        said.append((30, "A machine was found."))
    for event in events:
        what = DESCRIPTIONS.get(_container_of(event), "")
        if event.get("reason") == "Pulling" and what:
            said.append((35, f"Fetching {what}: the first time on a machine this takes longer…"))
        elif event.get("reason") in {"FailedMount", "FailedAttachVolume"}:
            said.append((35, "Your data could not be connected yet; trying again…"))
        elif event.get("reason") == "FailedCreatePodSandBox":
            said.append((35, "The machine is not ready for your session yet; trying again…"))
    ready = 0
    for program in PROGRAMS:
        status = container_status(pod, program)
        waiting = ((status.get("state") or {}).get("waiting") or {}).get("reason", "")
        what = _capital(DESCRIPTIONS[program])
        if waiting in {"ErrImagePull", "ImagePullBackOff"}:
            said.append((35, f"{what} could not be fetched; trying once more…"))
        elif waiting == "CrashLoopBackOff":
            said.append((40, f"{what} ended while it started; trying again…"))
        elif status.get("ready"):
            ready += 1
            said.append((40 + 10 * ready, f"{what} is ready."))
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


def _condition(pod: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    """One of the pod's conditions; empty before it is reported."""
    for condition in pod["status"].get("conditions") or []:
        if condition["type"] == kind:
            return condition  # type: ignore[no-any-return]
    return {}


def _image(pod: Mapping[str, Any], program: str) -> str:
    containers = pod.get("spec", {}).get("containers", [])
    images = {container["name"]: container.get("image", "") for container in containers}
    return str(images.get(program) or container_status(pod, program).get("image", ""))


def _times(events: Iterable[Mapping[str, Any]]) -> int:
    """How often something happened: Kubernetes counts equal events in one."""
    return sum(
        (event.get("series") or {}).get("count") or event.get("count") or 1 for event in events
    )


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
