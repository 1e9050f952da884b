"""What a session of the command line consists of: a pod, the key of its links, and a service.

The same pod as a hub's, made by the same functions, but for what only a hub can give: links in the
place of JupyterHub's login.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from jupyterhub.utils import maybe_future
from traitlets import Dict, Enum, Unicode

from savu_spawner.cli.application import Command, Misused
from savu_spawner.cli.cluster import Object
from savu_spawner.cluster import serialized
from savu_spawner.contract import HUB_VARIABLES, LINK_KEY_BYTES, PROGRAMS
from savu_spawner.identity import Identity
from savu_spawner.pod import Notebook, PodSettings
from savu_spawner.pod.labels import COMPONENT, NAME, SERVERNAME, USERNAME, session_labels
from savu_spawner.pod.volumes import LINK_KEY
from savu_spawner.spawner import SavuSpawner

INSTANCE = "app.kubernetes.io/instance"
PREFIX = "savu-spawner/prefix"
"""Annotation: the session's path."""
DESCRIPTION = "savu-spawner/description"
"""Annotation: what was asked for, as JSON; a later start is compared with it."""

POD_NAME = "savu-{user_server}"
"""Not KubeSpawner's: a hub in the same namespace would take the pod for its own."""

SAMPLE = "/sample"
SAMPLE_CONTAINER = "sample"
SERVICE_PORT = 80


class WithoutHub:
    """Mixed into the configured spawner: nothing of the pod is a hub's."""

    made_by_hub = False

    def get_env(self) -> dict[str, str]:
        env: dict[str, str] = super().get_env()  # type: ignore[misc]
        return {name: value for name, value in env.items() if not name.startswith(HUB_VARIABLES)}

    async def look_up(self) -> Identity:
        """Who was looked up already."""
        identity: Identity = self.identity  # type: ignore[attr-defined]
        return identity

    def public_hub_path(self) -> str:
        return ""

    def pod_settings(self, notebook: Notebook) -> PodSettings:
        settings: PodSettings = super().pod_settings(notebook)  # type: ignore[misc]
        return replace(settings, link_key_secret=self.pod_name)  # type: ignore[attr-defined]


class SessionCommand(Command):
    """A command that describes a session."""

    data = Unicode(
        "",
        help="""
        A folder of the cluster's machines to work on, at its own path, in place of the
        configuration's data volumes. It must be on the machine that the session comes to.
        """,
    ).tag(config=True)

    image = Dict(
        key_trait=Enum(list(PROGRAMS)),
        value_trait=Unicode(),
        help="""
        NAME=REF: the image of web, gate, api or dataserver, in place of the configuration's or the
        profile's. May be given several times.
        """,
    ).tag(config=True)

    async def describe(self, identity: Identity, prefix: str = "") -> SessionDescription:
        """The session that the options and the configuration mean.

        Args:
            prefix: path of a session that is there already; a new one has a path of its own.

        Raises:
            SessionFailed: what is configured cannot make a safe session.
        """
        spawner_class = self.load_pods()
        made_here = type(spawner_class.__name__, (WithoutHub, spawner_class), {})
        section = self.hub_config[spawner_class.__name__]
        section.pod_name_template = POD_NAME
        sample = self._decide_data(section)
        # A path of its own: cookies go by path, and ignore ports.
        prefix = prefix or f"/session/{secrets.token_hex(8)}/"
        spawner = self.spawner(made_here, identity.name, self.server, prefix)
        spawner.identity = identity
        await spawner.load_user_options()
        for program, image in self.image.items():
            setattr(spawner, "image" if program == "api" else f"{program}_image", image)
        if sample:
            spawner.init_containers = [*_as_list(spawner.init_containers), _sample(spawner)]
        pod = await spawner.get_pod_manifest()
        if spawner.modify_pod_hook:
            pod = await maybe_future(spawner.modify_pod_hook(spawner, pod))
        return SessionDescription(
            spawner=spawner,
            identity=identity,
            server=self.server,
            site_pod=serialized(pod),
            site_labels=dict(spawner._expand_all(spawner.extra_labels)),
        )

    def _decide_data(self, section: Any) -> bool:
        """Set the data volumes; whether the sample has to be generated."""
        if self.data:
            if not self.data.startswith("/"):
                raise Misused(f"--data {self.data}: give the absolute path, as the cluster has it.")
            path = self.data.rstrip("/") or "/"
            source = {"hostPath": {"path": path, "type": "Directory"}}
            section.data_volumes = [{"mountPath": path, "volume": source}]
            section.data_roots = [path]
            section.state_dir = ""
            return False
        if self.configured:
            return False
        section.data_volumes = [{"mountPath": SAMPLE, "volume": {"emptyDir": {}}}]
        return True


@dataclass(frozen=True)
class SessionDescription:
    """A session of the command line, before it is anywhere."""

    spawner: SavuSpawner
    identity: Identity
    server: str
    site_pod: Object
    """As the spawner makes it."""
    site_labels: Mapping[str, str]

    @property
    def name(self) -> str:
        """Of the pod, of the Secret and of the service."""
        return str(self.site_pod["metadata"]["name"])

    @property
    def labels(self) -> dict[str, str]:
        standard = {NAME: "savu", COMPONENT: "session", INSTANCE: self.name}
        return {**self.site_labels, **standard, **session_labels(None)}

    def pod(self) -> Object:
        """As it is sent to Kubernetes."""
        metadata = self.site_pod["metadata"]
        annotations = {
            **(metadata.get("annotations") or {}),
            USERNAME: self.identity.name,
            SERVERNAME: self.server,
            PREFIX: str(self.spawner.server.base_url),
        }
        pod = {
            **self.site_pod,
            "metadata": {
                **metadata,
                "namespace": self.spawner.namespace,
                "labels": self.labels,
                "annotations": annotations,
            },
        }
        annotations[DESCRIPTION] = json.dumps(pod["spec"], sort_keys=True)
        return pod

    def secret(self, owner: Mapping[str, Any] | None = None) -> Object:
        """A new key; only the gate has it, and whoever may read Secrets of the namespace."""
        key = base64.b64encode(secrets.token_bytes(LINK_KEY_BYTES)).decode()
        return self._owned("Secret", owner) | {"type": "Opaque", "data": {LINK_KEY: key}}

    def service(self, owner: Mapping[str, Any] | None = None) -> Object:
        """A port of every machine of the cluster that leads to ``web``."""
        return self._owned("Service", owner) | {
            "spec": {
                "type": "NodePort",
                "selector": {INSTANCE: self.name, **session_labels(None)},
                "ports": [
                    {
                        "name": "http",
                        "port": SERVICE_PORT,
                        "targetPort": self.spawner.port,
                        "protocol": "TCP",
                    }
                ],
            }
        }

    def _owned(self, kind: str, owner: Mapping[str, Any] | None) -> Object:
        metadata: Object = {
            "name": self.name,
            "namespace": self.spawner.namespace,
            "labels": self.labels,
        }
        if owner:
            metadata["ownerReferences"] = [
                {
                    "apiVersion": "v1",
                    "kind": "Pod",
                    "name": owner["metadata"]["name"],
                    "uid": owner["metadata"]["uid"],
                }
            ]
        return {"apiVersion": "v1", "kind": kind, "metadata": metadata}


def _as_list(containers: Any) -> list[Any]:
    return list(containers.values()) if isinstance(containers, dict) else list(containers)


def _sample(spawner: SavuSpawner) -> Object:
    """Makes the sample scan before the session starts, on whatever machine that is."""
    limits = {"cpu": "2", "memory": "1Gi"}
    return {
        "name": SAMPLE_CONTAINER,
        "image": spawner.image,
        "command": ["/opt/savu/bin/python", "-m", "savu_builtin.sample", SAMPLE],
        "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": limits},
        "volumeMounts": [{"name": "data-sample", "mountPath": SAMPLE}],
    }


# -- What differs ---------------------------------------------------------------------------------


def differences(pod: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """What is not in ``pod``, which runs, as in ``wanted``: a line each, settings by their path."""
    text = (pod["metadata"].get("annotations") or {}).get(DESCRIPTION)
    if text is None:
        return ["it was not described by this command"]
    return list(_differences("", json.loads(text), json.loads(json.dumps(wanted["spec"]))))


def _differences(path: str, old: Any, new: Any) -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            place = f"{path}.{key}".lstrip(".")
            yield from _differences(place, old.get(key), new.get(key))
    elif isinstance(old, list) and isinstance(new, list) and _named(old) and _named(new):
        olds, news = _by_name(old), _by_name(new)
        for key in [*olds, *(key for key in news if key not in olds)]:
            yield from _differences(f"{path}[{key}]", olds.get(key), news.get(key))
    elif old != new:
        yield f"{path}: {_short(old)} → {_short(new)}"


def _named(items: list[Any]) -> bool:
    """A list whose order means nothing: containers, volumes, mounts, variables."""
    named = all(isinstance(item, dict) and "name" in item for item in items)
    return named and len(_by_name(items)) == len(items)


def _by_name(items: list[Any]) -> dict[str, Any]:
    """By mount path, else by name: a volume may be mounted in several places."""
    return {item.get("mountPath", item["name"]): item for item in items}


def _short(value: Any) -> str:
    text = "nothing" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 120 else text[:119] + "…"
