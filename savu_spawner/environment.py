"""From who, what and where to the environment of each program; pure, for pods and processes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import quote

from savu_spawner.contract import HUB_VARIABLES, SOCKET_PATH_LIMIT, Program
from savu_spawner.identity import Identity


@dataclass(frozen=True)
class SessionSettings:
    """What the site and the hub decided for one session; the same in a pod and on this machine."""

    prefix: str
    """Decoded URL path with a slash at both ends."""
    server_name: str
    hub_url: str
    support_contact: str
    data_roots: tuple[str, ...]
    visit_path_template: str = ""
    engines: tuple[str, ...] = ("builtin",)
    savu_python: str = ""
    savu_catalogue: str = ""
    dataserver_max_bytes: int = 64 * 2**20
    gate_admit: str = "owner"
    gate_cache_seconds: int = 30


@dataclass(frozen=True)
class Places:
    """Where the programs listen and write in one way of running."""

    sockets: Mapping[Program, str]
    """``unix:PATH`` or ``host:port`` of gate, api and dataserver."""
    web_listen: str
    web_health_listen: str
    web_run_dir: str
    state_dir: str
    home: str
    temporary: str
    foreign: tuple[Program, ...] = ()
    """Programs of other making: they have none of our paths for health and activity."""
    link_key_file: str = ""
    """Where gate finds the key of links; empty where there is a hub."""


def hub_environment(variables: Mapping[str, str]) -> dict[str, str]:
    """The part of JupyterHub's ``get_env()`` that carries its token: for ``gate`` alone."""
    return {name: value for name, value in variables.items() if name.startswith(HUB_VARIABLES)}


def environments(
    identity: Identity, settings: SessionSettings, places: Places
) -> dict[Program, dict[str, str]]:
    """Every variable of :data:`savu_spawner.contract.ENVIRONMENT`, for each program.

    Raises:
        ValueError: a value would be read as something else: a ``:`` in a data root, a socket path
            that the kernel refuses.
    """
    for address in places.sockets.values():
        path = address.removeprefix("unix:")
        if path != address and len(path.encode()) >= SOCKET_PATH_LIMIT:
            raise ValueError(f"socket path of {SOCKET_PATH_LIMIT} bytes or more: {path}")
    data_roots = _join(":", settings.data_roots)
    for root in settings.data_roots:
        if not PurePosixPath(root).is_absolute():
            raise ValueError(f"data root is not an absolute path: {root!r}")
    user_folders = {"HOME": places.home, "TMPDIR": places.temporary}
    groups = [f"{quote(group.name)}={group.gid}" for group in (identity.group, *identity.groups)]
    return {
        "web": {
            "SESSION_PREFIX": settings.prefix,
            "WEB_LISTEN": places.web_listen,
            "WEB_HEALTH_LISTEN": places.web_health_listen,
            "WEB_RUN_DIR": places.web_run_dir,
            "GATE_UPSTREAM": places.sockets["gate"],
            "API_UPSTREAM": places.sockets["api"],
            "DATASERVER_UPSTREAM": places.sockets["dataserver"],
            "FOREIGN_PROGRAMS": ",".join(places.foreign),
        },
        "gate": {
            "GATE_LISTEN": places.sockets["gate"],
            "API_UPSTREAM": places.sockets["api"],
            "FOREIGN_PROGRAMS": ",".join(places.foreign),
            "SESSION_PREFIX": settings.prefix,
            "SESSION_USER": identity.name,
            "GATE_LINK_KEY_FILE": places.link_key_file,
            "GATE_ADMIT": settings.gate_admit,
            "GATE_CACHE_SECONDS": str(settings.gate_cache_seconds),
        },
        "api": {
            "API_LISTEN": places.sockets["api"],
            "API_STATE_DIR": places.state_dir,
            "DATA_ROOTS": data_roots,
            "VISIT_PATH_TEMPLATE": settings.visit_path_template,
            "SESSION_USER": identity.name,
            "SESSION_DISPLAY_NAME": identity.display_name,
            "SESSION_SERVER_NAME": settings.server_name,
            "SESSION_GROUPS": _join(",", groups),
            "HUB_URL": settings.hub_url,
            "SUPPORT_CONTACT": settings.support_contact,
            "ENGINES": _join(",", settings.engines),
            "SAVU_PYTHON": settings.savu_python,
            "SAVU_CATALOGUE": settings.savu_catalogue,
            "NUMBA_CACHE_DIR": f"{places.home}/.cache/numba",
            **user_folders,
        },
        "dataserver": {
            "DATASERVER_LISTEN": places.sockets["dataserver"],
            "DATA_ROOTS": data_roots,
            "DATASERVER_MAX_BYTES": str(settings.dataserver_max_bytes),
            **user_folders,
        },
    }


def _join(separator: str, values: tuple[str, ...] | list[str]) -> str:
    for value in values:
        if separator in value or "\0" in value:
            raise ValueError(f"{json.dumps(value)} contains {json.dumps(separator)}")
    return separator.join(values)
