"""The container ``gate``: the only one with JupyterHub's token."""

from __future__ import annotations

from typing import Any

from savu_spawner.pod.container import Context, container
from savu_spawner.pod.notebook import Notebook


def gate(context: Context, notebook: Notebook) -> dict[str, Any]:
    """With the variables that JupyterHub gave to the notebook."""
    made = container("gate", context)
    made["env"] = [*notebook.hub_variables, *made["env"]]
    return made
