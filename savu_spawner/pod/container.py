"""What the containers of a session have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from savu_spawner.contract import HEALTH_PORT, Program
from savu_spawner.pod.security import container_security
from savu_spawner.pod.settings import PodSettings
from savu_spawner.pod.volumes import MountedVolume


@dataclass(frozen=True)
class Context:
    """All that the containers are made from."""

    settings: PodSettings
    environments: Mapping[Program, Mapping[str, str]]
    volumes: Sequence[MountedVolume]
    uid: int
    gid: int


def container(
    program: Program, context: Context, ports: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """The container of ``program``, in the API's own spelling.

    It declares ``ports`` even if it has none: KubeSpawner looks through them all.
    """
    settings = context.settings.containers[program]
    made: dict[str, Any] = {
        "name": program,
        "image": settings.image,
        "ports": list(ports),
        "env": variables(context.environments[program]),
        "resources": dict(settings.resources),
        "readinessProbe": {
            "httpGet": {"path": f"/{program}", "port": HEALTH_PORT},
            "periodSeconds": 1,
            "timeoutSeconds": 2,
            "failureThreshold": 3,
        },
        "securityContext": container_security(program, context.settings),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            dict(mount) for volume in context.volumes for mount in volume.mounts.get(program, ())
        ],
    }
    if settings.pull_policy:
        made["imagePullPolicy"] = settings.pull_policy
    return made


def variables(environment: Mapping[str, str]) -> list[dict[str, Any]]:
    """Environment variables as a container has them.

    Kubernetes expands ``$(NAME)`` in values; ``$$`` keeps a person's name as it is.
    """
    return [
        {"name": name, "value": value.replace("$", "$$")} for name, value in environment.items()
    ]


def user_variables(context: Context) -> list[dict[str, Any]]:
    """For images that start as root and take an identity themselves."""
    return variables({"PUID": str(context.uid), "PGID": str(context.gid)})
