"""The environment this program reads."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass


class ConfigurationError(Exception):
    """A variable is missing or wrong; the sentence names it."""


@dataclass(frozen=True)
class Settings:
    """What an administrator decides."""

    listen: str
    """``unix:PATH``, or ``address:port``."""

    data_roots: tuple[str, ...]
    """Absolute folders; nothing outside is read."""

    max_bytes: int
    """Decoded bytes above which a request is refused."""


def from_environment(environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings.

    Raises:
        ConfigurationError: a variable is missing or makes no sense.
    """
    listen = _required(environment, "DATASERVER_LISTEN")
    parse_listen(listen)
    roots = tuple(
        root.rstrip("/") or "/" for root in _required(environment, "DATA_ROOTS").split(":") if root
    )
    if not roots:
        raise ConfigurationError("DATA_ROOTS names no folder: list absolute paths, joined by ':'.")
    for root in roots:
        if not root.startswith("/"):
            raise ConfigurationError(f"DATA_ROOTS holds {root!r}, which is not an absolute path.")
    return Settings(listen, roots, _positive(environment, "DATASERVER_MAX_BYTES"))


def parse_listen(listen: str) -> str | tuple[str, int]:
    """Path of a unix socket, or address and port.

    Raises:
        ConfigurationError: it is neither.
    """
    if listen.startswith("unix:"):
        path = listen.removeprefix("unix:")
        if not path.startswith("/"):
            raise ConfigurationError(f"DATASERVER_LISTEN: {path!r} is not an absolute path.")
        return path
    address, colon, port = listen.rpartition(":")
    if not colon or not address or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ConfigurationError(
            f"DATASERVER_LISTEN is {listen!r}; it must be unix:PATH or address:port."
        )
    return address.strip("[]"), int(port)


def _required(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name, "")
    if not value:
        raise ConfigurationError(f"The environment variable {name} is not set.")
    return value


def _positive(environment: Mapping[str, str], name: str) -> int:
    text = _required(environment, name)
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise ConfigurationError(f"{name} is {text!r}; it must be a number of bytes above 0.")
    return int(text)
