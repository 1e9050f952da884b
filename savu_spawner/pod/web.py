"""The container ``web``: nginx, the one that is reached from outside."""

from __future__ import annotations

from typing import Any

from savu_spawner.contract import HEALTH_PORT
from savu_spawner.pod.container import Context, container

PORT_NAME = "notebook-port"
"""KubeSpawner finds the session's port by this name, and usual network policies allow it."""


def web(context: Context) -> dict[str, Any]:
    """First in the pod: KubeSpawner reads ports of the containers before it, if there are any."""
    return container(
        "web",
        context,
        ports=[
            {"name": PORT_NAME, "containerPort": context.settings.web_port},
            {"name": "health", "containerPort": HEALTH_PORT},
        ],
    )
