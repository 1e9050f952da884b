"""``savu-spawner status``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from savu_spawner.cli.application import FAILED, NO_SESSION, WHO_ALIASES, WITH_FILE, Command, told
from savu_spawner.cli.cluster import is_meant
from savu_spawner.diagnosis import is_ready, said_of, start_failure
from savu_spawner.pod.labels import SERVERNAME, USERNAME

HEAD = ("USER", "SERVER", "UID", "POD", "MACHINE", "AGE", "STATE")


class Status(Command):
    """Lists the sessions that `start` has started.

    The exit status is 0 if all of them are ready, 1 if one is not, 4 if there is none.
    """

    name = "savu-spawner status"
    description = __doc__
    aliases: dict[Any, Any] = {**WITH_FILE, **WHO_ALIASES}  # noqa: RUF012

    async def run(self) -> int:
        cluster = self.cluster()
        pods = [
            pod
            for pod in await cluster.sessions()
            if is_meant(pod, self.user, self.uid, self.server)
        ]
        if not pods:
            return told(f"There is no session in namespace {cluster.namespace}.", NO_SESSION)
        now = datetime.now(UTC)
        rows = [HEAD, *[row(pod, await cluster.events(pod), now) for pod in pods]]
        print(table(rows))
        return 0 if all(map(is_ready, pods)) else FAILED


def row(
    pod: Mapping[str, Any], events: Sequence[Mapping[str, Any]], now: datetime
) -> tuple[str, ...]:
    """One session as :data:`HEAD` has it."""
    metadata = pod["metadata"]
    annotations = metadata.get("annotations") or {}
    return (
        annotations.get(USERNAME, "?"),
        annotations.get(SERVERNAME, "") or "-",
        str(pod["spec"]["securityContext"].get("runAsUser", "-")),
        metadata["name"],
        pod["spec"].get("nodeName") or "-",
        age(now, datetime.fromisoformat(metadata["creationTimestamp"])),
        state(pod, events),
    )


def state(pod: Mapping[str, Any], events: Sequence[Mapping[str, Any]]) -> str:
    """Whether it is ready, or what it waits for, in words."""
    if is_ready(pod):
        return "ready"
    if failure := start_failure(pod, events):
        return failure.sentence
    said = said_of(pod, events)
    return said[-1][1] if said else "starting"


def age(now: datetime, made: datetime) -> str:
    """How long ago, in its largest unit."""
    seconds = max(0, int((now - made).total_seconds()))
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as they must be."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip()
        for cells in rows
    )
