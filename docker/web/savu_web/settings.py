"""What the environment says, checked before nginx sees any of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

REQUIRED = (
    "SESSION_PREFIX",
    "WEB_LISTEN",
    "WEB_HEALTH_LISTEN",
    "WEB_RUN_DIR",
    "GATE_UPSTREAM",
    "API_UPSTREAM",
    "DATASERVER_UPSTREAM",
)

_PORT = r"[1-9][0-9]{0,4}"
_HOST = r"(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])"
_HOST_AND_PORT = re.compile(f"{_HOST}:{_PORT}")
_JUST_PORT = re.compile(_PORT)


class ConfigurationError(Exception):
    """The environment does not describe a web server; the message names the variable."""


@dataclass(frozen=True)
class Settings:
    """Where to listen, whom to ask, what to serve. Addresses as nginx writes them."""

    prefix: str
    """Decoded URL path of the session, a slash at both ends."""
    listen: str
    """A port, or ``address:port``."""
    health_listen: str
    """A port, ``address:port``, or ``unix:PATH``."""
    run_dir: Path
    gate: str
    """``unix:PATH`` or ``host:port``; so are ``api`` and ``dataserver``."""
    api: str
    dataserver: str
    foreign: frozenset[str]
    """Those of ``api`` and ``dataserver`` that are not ours."""
    page: Path
    """Folder of the built page: ``index.html`` and ``assets/``."""


def from_environment(environment: Mapping[str, str], page: Path) -> Settings:
    """Settings from environment variables.

    Raises:
        ConfigurationError: a variable is missing, or nginx would read its value as something else.
    """
    for name in REQUIRED:
        if not environment.get(name):
            raise ConfigurationError(f"{name} is not set")
    run_dir = Path(environment["WEB_RUN_DIR"])
    if not run_dir.is_absolute():
        raise ConfigurationError(f"WEB_RUN_DIR is not an absolute path: {str(run_dir)!r}")
    if "$" in f"{page}{run_dir}":
        raise ConfigurationError("nginx reads a '$' in WEB_RUN_DIR or in the page's folder")
    return Settings(
        prefix=_prefix(environment["SESSION_PREFIX"]),
        listen=_address("WEB_LISTEN", environment, port=True),
        health_listen=_address("WEB_HEALTH_LISTEN", environment, port=True, unix=True),
        run_dir=run_dir,
        gate=_address("GATE_UPSTREAM", environment, unix=True),
        api=_address("API_UPSTREAM", environment, unix=True),
        dataserver=_address("DATASERVER_UPSTREAM", environment, unix=True),
        foreign=_foreign(environment),
        page=page,
    )


def _foreign(environment: Mapping[str, str]) -> frozenset[str]:
    if "FOREIGN_PROGRAMS" not in environment:
        raise ConfigurationError("FOREIGN_PROGRAMS is not set, not even to nothing")
    names = frozenset(filter(None, environment["FOREIGN_PROGRAMS"].split(",")))
    if unknown := names - {"api", "dataserver"}:
        raise ConfigurationError(f"FOREIGN_PROGRAMS names {sorted(unknown)}")
    return names


def _prefix(prefix: str) -> str:
    parts = prefix.split("/")
    if len(parts) < 3 or parts[0] or parts[-1] or any(p in ("", ".", "..") for p in parts[1:-1]):
        raise ConfigurationError(
            f"SESSION_PREFIX is {prefix!r}, must be a path below / with a slash at both ends"
        )
    if any(ord(character) < 32 or ord(character) == 127 for character in prefix):
        raise ConfigurationError(f"SESSION_PREFIX has control characters: {prefix!r}")
    return prefix


def _address(
    name: str, environment: Mapping[str, str], *, port: bool = False, unix: bool = False
) -> str:
    value = environment[name]
    path = value.removeprefix("unix:")
    if path != value:
        # A colon would end the path: what follows it is the URI in nginx's own syntax.
        sound = unix and re.fullmatch(r"/[^\s:;{}$\"'\\]+", path)
    else:
        sound = _HOST_AND_PORT.fullmatch(value) or (port and _JUST_PORT.fullmatch(value))
    if not sound:
        forms = ["a port"] * port + ["address:port"] + ["unix:/PATH"] * unix
        raise ConfigurationError(f"{name} is {value!r}, must be {' or '.join(forms)}")
    return value
