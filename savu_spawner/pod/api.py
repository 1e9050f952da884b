"""The container ``api``: runs what users write, with what an administrator gave to notebooks."""

from __future__ import annotations

from typing import Any

from savu_spawner.pod.container import Context, container, user_variables
from savu_spawner.pod.notebook import Notebook, without


def api(context: Context, notebook: Notebook) -> dict[str, Any]:
    """With the notebook's environment, resources, volume mounts, hooks and extra settings.

    Variables of the contract win over an administrator's of the same name.
    """
    made = container("api", context)
    ours = made["env"] + user_variables(context)
    return {
        **notebook.other_settings,
        **made,
        "env": without(notebook.variables, ours) + ours,
        "securityContext": {**notebook.security, **made["securityContext"]},
        "resources": dict(notebook.resources) or made["resources"],
        "volumeMounts": [*made["volumeMounts"], *notebook.volume_mounts],
    }
