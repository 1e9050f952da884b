"""A session's pod, from who, what and where: pure functions, frozen values in, plain dicts out.

One module a container; ``volumes`` and ``security`` say who sees and may do what; ``notebook``
takes apart the pod that KubeSpawner would make; ``labels`` say whose it is.
"""

from __future__ import annotations

from typing import Any

from savu_spawner.contract import HEALTH_PORT, USER_PROGRAMS
from savu_spawner.environment import SessionSettings, environments
from savu_spawner.identity import Identity
from savu_spawner.pod.accounts import account_files
from savu_spawner.pod.api import api
from savu_spawner.pod.container import Context
from savu_spawner.pod.dataserver import dataserver
from savu_spawner.pod.gate import gate
from savu_spawner.pod.labels import with_session_labels
from savu_spawner.pod.notebook import Notebook
from savu_spawner.pod.security import pod_security
from savu_spawner.pod.settings import ContainerSettings, DataVolume, PodSettings
from savu_spawner.pod.volumes import HOME, mounted_volumes, places
from savu_spawner.pod.web import web

__all__ = ["ContainerSettings", "DataVolume", "Notebook", "PodSettings", "session_pod"]


def session_pod(
    identity: Identity, session: SessionSettings, settings: PodSettings, notebook: Notebook
) -> dict[str, Any]:
    """The whole pod, as it is sent to Kubernetes.

    Raises:
        ValueError: these values cannot make a safe session; the message is for an administrator.
    """
    _check_paths(session, settings)
    volumes = mounted_volumes(settings)
    context = Context(
        settings=settings,
        environments=environments(identity, session, places(settings, HEALTH_PORT)),
        volumes=volumes,
        uid=identity.uid,
        gid=identity.group.gid,
    )
    base = notebook.pod
    metadata = dict(base["metadata"])
    metadata["labels"] = with_session_labels(metadata.get("labels"), settings.hub_id)
    if settings.run_as == "user":
        annotations = dict(metadata.get("annotations") or {})
        metadata["annotations"] = annotations | account_files(identity, HOME)
    spec = dict(base["spec"])
    return {
        **base,
        "metadata": metadata,
        "spec": {
            **spec,
            # dataserver is started again after any end; what ends a session is poll's to say.
            "restartPolicy": "Always",
            "automountServiceAccountToken": False,
            "shareProcessNamespace": False,
            # A service called “api” would set API_PORT in every container.
            "enableServiceLinks": False,
            "securityContext": spec["securityContext"] | pod_security(identity, settings),
            "containers": [
                web(context),
                gate(context, notebook),
                api(context, notebook),
                dataserver(context),
                *spec["containers"],
            ],
            "volumes": [*(dict(volume.volume) for volume in volumes), *spec["volumes"]],
        },
    }


def _check_paths(session: SessionSettings, settings: PodSettings) -> None:
    if settings.web_port == HEALTH_PORT:
        raise ValueError(f"port {HEALTH_PORT} is the one for health")
    ports = [settings.web_port, HEALTH_PORT, *settings.foreign_programs.values()]
    if len(set(ports)) != len(ports):
        raise ValueError(f"two programs of one pod have the same port: {sorted(ports)}")
    if unknown := settings.foreign_programs.keys() - set(USER_PROGRAMS):
        raise ValueError(f"only api and dataserver may be of other making, not {sorted(unknown)}")
    for root in session.data_roots:
        if not any(volume.holds(root) for volume in settings.data_volumes):
            raise ValueError(f"data root {root} is in none of data_volumes")
    if settings.state_dir and not any(
        volume.holds(settings.state_dir) for volume in settings.data_volumes
    ):
        raise ValueError(f"state_dir {settings.state_dir} is in none of data_volumes")
