"""A SavuSpawner without a cluster: a real JupyterHub user in a database in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import kubernetes_asyncio.config.kube_config as kube_config
import yaml
from kubespawner.clients import load_config
from traitlets.config import Config

from savu_spawner.cli import spawner_without_hub
from savu_spawner.directory import LdapDirectory
from savu_spawner.errors import AccountNotFound
from savu_spawner.identity import Identity
from savu_spawner.spawner import SavuSpawner


@contextmanager
def kubeconfig(folder: Path, server: str = "http://127.0.0.1:9") -> Iterator[Path]:
    """A kubeconfig that names ``server``, by default one that does not exist.

    KubeSpawner reads one when it is made, even if nothing is ever asked.
    """
    path = folder / "kubeconfig"
    path.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "none",
                "contexts": [{"name": "none", "context": {"cluster": "none", "user": "none"}}],
                "clusters": [{"name": "none", "cluster": {"server": server}}],
                "users": [{"name": "none", "user": {}}],
            }
        )
    )
    with using(path):
        yield path


@contextmanager
def using(path: Path) -> Iterator[None]:
    """Have spawners made meanwhile speak to the cluster that this kubeconfig names."""
    before = kube_config.KUBE_CONFIG_DEFAULT_LOCATION
    kube_config.KUBE_CONFIG_DEFAULT_LOCATION = str(path)
    load_config.cache_clear()
    try:
        yield
    finally:
        kube_config.KUBE_CONFIG_DEFAULT_LOCATION = before
        load_config.cache_clear()


def make_spawner(
    config: Config | None = None, *, name: str = "ada", server: str = "", **settings: Any
) -> SavuSpawner:
    """The spawner of one server of one user, as JupyterHub makes it; a running loop is needed."""
    config = Config() if config is None else config
    for trait, value in settings.items():
        config.SavuSpawner[trait] = value
    spawner: SavuSpawner = spawner_without_hub(config, SavuSpawner, name, server)
    spawner.api_token = "the-hub's-token"
    return spawner


class KnownPeople(LdapDirectory):
    """A directory that is never asked over a network: it knows these people."""

    def __init__(self, *people: Identity) -> None:
        super().__init__(servers=["ldaps://ldap.test"], user_base="dc=test", group_base="dc=test")
        self._people = {person.name: person for person in people}
        self.asked: list[str] = []

    async def identity(self, name: str) -> Identity:
        self.asked.append(name)
        try:
            return self._people[name]
        except KeyError:
            raise AccountNotFound("The directory does not know your account.") from None
