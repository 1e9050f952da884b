"""The container ``dataserver``: reads the user's data, and writes nowhere."""

from __future__ import annotations

from typing import Any

from savu_spawner.pod.container import Context, container, user_variables


def dataserver(context: Context) -> dict[str, Any]:
    """As the user; data volumes are read-only."""
    made = container("dataserver", context)
    made["env"] += user_variables(context)
    return made
