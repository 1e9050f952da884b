"""One line for each start and end of a session, for whoever has to answer who ran what as whom.

Each is a JSON object with the single key ``audit``, on the logger ``savu_spawner.audit``. Where
nobody has configured that logger it goes to standard error, as the hub's own log does. To keep it
in a file::

    c.JupyterHub.logging_config = {
        "handlers": {
            "audit": {"class": "logging.FileHandler", "filename": "/var/log/savu-audit.jsonl"},
        },
        "loggers": {
            "savu_spawner.audit": {"level": "INFO", "handlers": ["audit"], "propagate": False},
        },
    }
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal, Self

from savu_spawner.identity import Identity

LOGGER = "savu_spawner.audit"

Event = Literal["started", "start-failed", "ended"]


@dataclass(frozen=True)
class AuditRecord:
    """What happened to one session, and as whom its programs ran."""

    event: Event
    user: str
    server: str
    uid: int | None = None
    """None: the start was refused before the directory had said."""
    gid: int | None = None
    supplementary_gids: tuple[int, ...] = ()
    images: Mapping[str, str] = field(default_factory=dict)
    """Of each container: the digest that ran, or what was configured if none did; none for
    processes."""
    instance: str = ""
    """The pod's uid, or ``pid <number>`` of the supervisor."""
    reason: str = ""

    @classmethod
    def of(
        cls,
        event: Event,
        user: str,
        server: str,
        identity: Identity | None,
        *,
        pod: Mapping[str, Any] | None = None,
        instance: str = "",
        reason: str = "",
    ) -> Self:
        """Of a session with this identity; ``pod`` as the API has it, if there is one."""
        return cls(
            event,
            user,
            server,
            uid=identity.uid if identity else None,
            gid=identity.group.gid if identity else None,
            supplementary_gids=identity.gids if identity else (),
            images=images_of(pod) if pod else {},
            instance=pod["metadata"]["uid"] if pod else instance,
            reason=reason,
        )

    @classmethod
    def of_pod(
        cls, event: Event, user: str, server: str, pod: Mapping[str, Any], reason: str = ""
    ) -> Self:
        """Of a pod of which nothing but itself is known: its own description says as whom."""
        uid, gid, gids = identity_of(pod)
        return cls(
            event, user, server, uid, gid, gids, images_of(pod), pod["metadata"]["uid"], reason
        )

    def ended(self, reason: str) -> Self:
        """The end of the session whose start this is."""
        return replace(self, event="ended", reason=reason)

    def to_state(self) -> dict[str, Any]:
        """As JSON, for JupyterHub's database."""
        return asdict(self) | {"supplementary_gids": list(self.supplementary_gids)}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        return cls(**{**state, "supplementary_gids": tuple(state["supplementary_gids"])})


def images_of(pod: Mapping[str, Any]) -> dict[str, str]:
    """The image of each container by the digest that ran, or by its name if it never did."""
    images = {container["name"]: container["image"] for container in pod["spec"]["containers"]}
    for status in (pod.get("status") or {}).get("containerStatuses") or ():
        if status.get("imageID"):
            images[status["name"]] = status["imageID"]
    return images


def identity_of(pod: Mapping[str, Any]) -> tuple[int | None, int | None, tuple[int, ...]]:
    """Uid, gid and supplementary gids that a session's pod gives to the user's programs."""
    security = pod["spec"].get("securityContext") or {}
    variables = {
        variable["name"]: variable.get("value", "")
        for container in pod["spec"]["containers"]
        if container["name"] == "api"
        for variable in container.get("env") or ()
    }

    def number(configured: Any, variable: str) -> int | None:
        # Images that start as root take the identity from these variables.
        if configured is not None:
            return int(configured)
        text = variables.get(variable, "")
        return int(text) if text.isdecimal() else None

    return (
        number(security.get("runAsUser"), "PUID"),
        number(security.get("runAsGroup"), "PGID"),
        tuple(security.get("supplementalGroups") or ()),
    )


def write(record: AuditRecord) -> None:
    """Put one line on the logger."""
    logger = logging.getLogger(LOGGER)
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.INFO)
    if not logger.hasHandlers():
        # The hub configures handlers for its own logger only: this line must not be lost.
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(message)s"))
        logger.addHandler(handler)
    when = datetime.now(UTC).isoformat(timespec="milliseconds")
    logger.info("%s", json.dumps({"audit": {"when": when} | record.to_state()}))
