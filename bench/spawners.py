"""Spawners of both kinds, made as JupyterHub makes them, without a hub."""

from __future__ import annotations

from typing import Any

from kubespawner import KubeSpawner
from traitlets.config import Config

from savu_spawner.cli.configuration import spawner_without_hub
from savu_spawner.identity import Group, Identity
from savu_spawner.spawner import SavuSpawner
from tests.support.kubernetes import KnownPeople

DATA = [{"mountPath": "/data", "volume": {"emptyDir": {}}}]


def session_spawner(name: str, namespace: str = "default", **settings: Any) -> SavuSpawner:
    """Ours, of somebody whom the directory knows."""
    config = Config()
    config.SavuSpawner.update({"namespace": namespace, "data_volumes": DATA, **settings})
    spawner: SavuSpawner = spawner_without_hub(config, SavuSpawner, name)
    group = Group(name, 37000)
    spawner.directory = KnownPeople(Identity(name, name.title(), 37000, group, ()))
    spawner.api_token = "token"
    return spawner


def kube_spawner(name: str, namespace: str = "default", **settings: Any) -> KubeSpawner:
    """The peer, with its own defaults but for what it is measured with."""
    config = Config()
    config.KubeSpawner.update({"namespace": namespace, "storage_pvc_ensure": False, **settings})
    spawner: Any = spawner_without_hub(config, KubeSpawner, name)  # type: ignore[type-abstract, arg-type]
    spawner.api_token = "token"
    return spawner


async def stop_watching() -> None:
    """End the watches of both kinds."""
    await SavuSpawner._stop_all_reflectors()
    await KubeSpawner._stop_all_reflectors()
