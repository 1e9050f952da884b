"""Labels of session pods: who made them, and whose they are.

A pod is a hub's own if all of ``managed-by``, ``maker`` and ``hub-id`` say so. Everything else,
a pod of the command line or of another hub included, is a stranger's: never adopted, never deleted.
User and server are KubeSpawner's to write, as annotations: those hold any name in full.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

MANAGED_BY: Final = "app.kubernetes.io/managed-by"
MANAGER: Final = "savu-spawner"
MAKER: Final = "savu-spawner/maker"
"""``hub`` or ``cli``."""
HUB_ID: Final = "savu-spawner/hub-id"
"""On a hub's pods only: ``c.SavuSpawner.hub_id``."""
DEFAULT_HUB_ID: Final = "hub"

NAME: Final = "app.kubernetes.io/name"
COMPONENT: Final = "app.kubernetes.io/component"

USERNAME: Final = "hub.jupyter.org/username"
SERVERNAME: Final = "hub.jupyter.org/servername"
KEEP_UNTIL: Final = "savu-spawner/keep-until"
"""Annotation of a failed pod that is kept for diagnosis: RFC 3339, when it may be removed."""

START: Final = "savu-spawner/start"
"""Annotation that differs for each start: tells a hub its own pod, if an answer was lost."""

_LABEL_VALUE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")


def valid_hub_id(value: str) -> str:
    """``value``, if Kubernetes takes it as a label.

    Raises:
        ValueError: it does not; the message says what it takes.
    """
    if not _LABEL_VALUE.fullmatch(value):
        raise ValueError(
            f"hub_id {value!r} is no label of Kubernetes: 1 to 63 letters, digits, '-', '_' or"
            " '.', a letter or digit at both ends"
        )
    return value


def session_labels(hub_id: str | None) -> dict[str, str]:
    """Labels of a session that hub ``hub_id`` starts; None: that the command line starts."""
    labels = {MANAGED_BY: MANAGER, MAKER: "cli" if hub_id is None else "hub"}
    return labels if hub_id is None else labels | {HUB_ID: valid_hub_id(hub_id)}


def with_session_labels(labels: Mapping[str, str] | None, hub_id: str | None) -> dict[str, str]:
    """``labels`` with those of a session.

    Name and component stay what KubeSpawner or a chart wrote: network policies select by them.
    """
    standard = {NAME: "savu", COMPONENT: "session"}
    return standard | dict(labels or {}) | session_labels(hub_id)


def selector(hub_id: str | None) -> str:
    """A label selector for all sessions of one hub, or for all of the command line."""
    return ",".join(f"{name}={value}" for name, value in session_labels(hub_id).items())


@dataclass(frozen=True)
class Owner:
    """Whose pod it is: a server of a user, of one hub (None: of the command line)."""

    user: str
    server: str
    hub_id: str | None


def owner_of(pod: Mapping[str, Any]) -> Owner | None:
    """Whose session ``pod`` (as the API has it) is; None if it is no session of ours."""
    metadata = pod["metadata"]
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    if labels.get(MANAGED_BY) != MANAGER or USERNAME not in annotations:
        return None
    hub_id = labels.get(HUB_ID)
    if labels.get(MAKER) != ("cli" if hub_id is None else "hub"):
        return None
    return Owner(annotations[USERNAME], annotations.get(SERVERNAME, ""), hub_id)


def stranger(pod: Mapping[str, Any], owner: Owner) -> str:
    """Why ``pod`` is not ``owner``'s, in words for an administrator; empty if it is."""
    found = owner_of(pod)
    if found == owner:
        return ""
    name = pod["metadata"]["name"]
    if found is None:
        return f"pod {name} was not made by savu-spawner"
    if found.hub_id is None:
        return f"pod {name} was made by the command line"
    if found.hub_id != owner.hub_id:
        return f"pod {name} is of the hub with hub_id {found.hub_id!r}"
    return f"pod {name} is of user {found.user!r}, server {found.server!r}"
