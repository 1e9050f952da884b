"""What the session's environment says, checked once at the start."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote

EX_CONFIG: Final = 78


class ConfigurationError(Exception):
    """A variable of the environment is missing or absurd; the sentence names it."""


@dataclass(frozen=True)
class Group:
    """One group of the user."""

    name: str
    gid: int


@dataclass(frozen=True)
class Listen:
    """Where to listen: a unix socket's path, or host and port."""

    path: str = ""
    host: str = ""
    port: int = 0


@dataclass(frozen=True)
class Settings:
    """One session's API."""

    listen: Listen
    state_dir: Path
    """The user's own, outlives the session."""
    data_roots: tuple[Path, ...]
    visit_path_template: str
    """``/dls/{instrument}/data/{year}/{visit}``, or empty."""
    user: str
    display_name: str
    server_name: str
    groups: tuple[Group, ...]
    """The primary one first."""
    hub_url: str
    support_contact: str
    engines: tuple[str, ...]
    """In order of preference; the first is the default."""
    savu_python: Path | None
    savu_catalogue: Path | None


VARIABLES: Final = (
    "API_LISTEN",
    "API_STATE_DIR",
    "DATA_ROOTS",
    "VISIT_PATH_TEMPLATE",
    "SESSION_USER",
    "SESSION_DISPLAY_NAME",
    "SESSION_SERVER_NAME",
    "SESSION_GROUPS",
    "HUB_URL",
    "SUPPORT_CONTACT",
    "ENGINES",
    "SAVU_PYTHON",
    "SAVU_CATALOGUE",
    "HOME",
    "TMPDIR",
    "NUMBA_CACHE_DIR",
)
"""All are set by whoever starts the session, if only to nothing; libraries read the last three."""

KNOWN_ENGINES: Final = frozenset({"builtin", "savu"})
VISIT_FIELDS: Final = frozenset({"instrument", "year", "visit"})


def from_environment(environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings in these variables. Raises ConfigurationError."""
    missing = [name for name in VARIABLES if name not in environment]
    if missing:
        raise ConfigurationError(f"not set in the environment: {', '.join(missing)}")

    def path(name: str) -> Path | None:
        return _absolute(name, environment[name]) if environment[name] else None

    state_dir = path("API_STATE_DIR")
    if state_dir is None:
        raise ConfigurationError("API_STATE_DIR is empty: the list of jobs needs a folder")
    if not environment["SESSION_USER"]:
        raise ConfigurationError("SESSION_USER is empty")
    return Settings(
        listen=parse_listen(environment["API_LISTEN"]),
        state_dir=state_dir,
        data_roots=_roots(environment["DATA_ROOTS"]),
        visit_path_template=_template(environment["VISIT_PATH_TEMPLATE"]),
        user=environment["SESSION_USER"],
        display_name=environment["SESSION_DISPLAY_NAME"] or environment["SESSION_USER"],
        server_name=environment["SESSION_SERVER_NAME"],
        groups=parse_groups(environment["SESSION_GROUPS"]),
        hub_url=environment["HUB_URL"],
        support_contact=environment["SUPPORT_CONTACT"],
        engines=_engines(environment["ENGINES"]),
        savu_python=path("SAVU_PYTHON"),
        savu_catalogue=path("SAVU_CATALOGUE"),
    )


def parse_listen(text: str) -> Listen:
    """``unix:PATH`` or ``address:port``. Raises ConfigurationError."""
    if text.startswith("unix:"):
        path = text.removeprefix("unix:")
        if not path.startswith("/") or len(os.fsencode(path)) > 107:
            raise ConfigurationError(
                f"API_LISTEN is {text!r}: a socket's path is absolute and has at most 107 bytes"
            )
        return Listen(path=path)
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ConfigurationError(f"API_LISTEN is {text!r}: neither unix:PATH nor address:port")
    return Listen(host=host.strip("[]"), port=int(port))


def parse_groups(text: str) -> tuple[Group, ...]:
    """``name=gid,…``, names percent-encoded. Raises ConfigurationError."""
    groups = []
    for item in filter(None, text.split(",")):
        name, _, gid = item.rpartition("=")
        if not name or not gid.isdecimal():
            raise ConfigurationError(f"SESSION_GROUPS has {item!r}, which is not name=gid")
        groups.append(Group(unquote(name), int(gid)))
    return tuple(groups)


def _absolute(name: str, text: str) -> Path:
    if not text.startswith("/") or "\0" in text:
        raise ConfigurationError(f"{name} has {text!r}, which is not an absolute path")
    return Path(os.path.normpath(text))


def _roots(text: str) -> tuple[Path, ...]:
    roots = tuple(_absolute("DATA_ROOTS", item) for item in filter(None, text.split(":")))
    if not roots:
        raise ConfigurationError("DATA_ROOTS is empty: the session could read nothing")
    return roots


def _template(text: str) -> str:
    if not text:
        return ""
    _absolute("VISIT_PATH_TEMPLATE", text)
    fields = re.findall(r"\{([^{}]*)\}", text)
    rest = re.sub(r"\{[^{}]*\}", "", text)
    if not set(fields) <= VISIT_FIELDS or "visit" not in fields or "{" in rest or "}" in rest:
        raise ConfigurationError(
            f"VISIT_PATH_TEMPLATE is {text!r}: it needs {{visit}}, and besides it may have only "
            "{instrument} and {year}"
        )
    return text


def _engines(text: str) -> tuple[str, ...]:
    names = tuple(filter(None, (name.strip() for name in text.split(","))))
    unknown = [name for name in names if name not in KNOWN_ENGINES]
    if not names or unknown:
        what = f"has {', '.join(unknown)}" if unknown else "is empty"
        known = ", ".join(sorted(KNOWN_ENGINES))
        raise ConfigurationError(f"ENGINES {what}: there are {known}")
    return names
