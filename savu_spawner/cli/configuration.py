"""From a hub's configuration file, or none, to a spawner without a hub."""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from jupyterhub import orm
from jupyterhub.objects import Hub, Server
from jupyterhub.user import User
from jupyterhub.utils import url_path_join
from kubernetes_asyncio.config import ConfigException
from sqlalchemy import create_engine
from sqlalchemy.orm import sessionmaker
from sqlalchemy.pool import StaticPool
from traitlets import TraitError
from traitlets.config import Config
from traitlets.config.loader import PyFileConfigLoader
from traitlets.utils.importstring import import_item

from savu_spawner.beside_notebooks import SavuOrNotebookSpawner
from savu_spawner.session import SessionSpawner
from savu_spawner.spawner import SavuSpawner


class Misconfigured(Exception):
    """The configuration cannot even be read; a sentence for the administrator."""


def read_configuration(path: Path) -> Config:
    """A JupyterHub configuration file, as JupyterHub reads it.

    Raises:
        Misconfigured: there is none, or it fails.
    """
    if not path.is_file():
        raise Misconfigured(f"There is no configuration file {path}: name it with --config.")
    try:
        config: Config = PyFileConfigLoader(path.name, str(path.resolve().parent)).load_config()
    except Exception as error:
        raise Misconfigured(f"{path} fails: {type(error).__name__}: {error}") from None
    return config


def configured_spawner(config: Config) -> type[SessionSpawner]:
    """The class that starts sessions where ``c.JupyterHub.spawner_class`` is in charge.

    Raises:
        Misconfigured: it is none of this package's.
    """
    named = config.JupyterHub.get("spawner_class", "jupyterhub.spawner.LocalProcessSpawner")
    found = named
    if isinstance(named, str):
        (entry,) = entry_points(group="jupyterhub.spawners", name=named) or (None,)
        try:
            found = entry.load() if entry else import_item(named)
        except ImportError as error:
            raise Misconfigured(f"c.JupyterHub.spawner_class {named!r}: {error}") from None
    if isinstance(found, type) and issubclass(found, SavuOrNotebookSpawner):
        return SavuSpawner
    if not (isinstance(found, type) and issubclass(found, SessionSpawner)):
        raise Misconfigured(
            f"c.JupyterHub.spawner_class is {named!r}, which starts no sessions of Savu:"
            ' set it to "savu" (pods) or "savu-local" (processes on this machine).'
        )
    return found


def spawner_without_hub(
    config: Config,
    spawner_class: type[SessionSpawner],
    name: str,
    server: str = "",
    prefix: str = "",
) -> Any:
    """The spawner of one server of one user, in a database in memory; needs a running loop.

    Args:
        prefix: path of the session, a slash at both ends; as the hub has it if empty.

    Raises:
        Misconfigured: a trait refuses its value, or there is no cluster to make pods for.
    """
    # One connection, whichever thread the garbage collector runs in.
    engine = create_engine(
        "sqlite://", connect_args={"check_same_thread": False}, poolclass=StaticPool
    )
    orm.Base.metadata.create_all(engine)
    db = sessionmaker(bind=engine)()
    base_url = config.JupyterHub.get("base_url", "/")
    account = orm.User(name=name)
    address = orm.Server(base_url=prefix or url_path_join(base_url, "user", name, server, "/"))
    db.add_all([account, address, orm.Spawner(name=server, user=account)])
    db.commit()
    hub = Hub(ip="hub", port=8081, base_url=url_path_join(base_url, "hub", "/"))
    user = User(account, {"config": config, "hub": hub})
    try:
        spawner = user._new_spawner(server, spawner_class=spawner_class)
    except TraitError as error:
        raise Misconfigured(f"{spawner_class.__name__}: {error}") from None
    except ConfigException as error:
        raise Misconfigured(
            f"There is no cluster to make pods for ({str(error).rstrip('.')}):"
            " set KUBECONFIG, or run this in a pod."
        ) from None
    spawner.server = Server(orm_server=address)
    return spawner
