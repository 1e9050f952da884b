"""What the gate is told by its environment, checked once at the start."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args
from urllib.parse import quote

Admit = Literal["owner", "granted"]

REQUIRED = (
    "GATE_LISTEN",
    "API_UPSTREAM",
    "GATE_ADMIT",
    "GATE_CACHE_SECONDS",
    "SESSION_PREFIX",
    "SESSION_USER",
)

REQUIRED_OF_HUB = (
    "JUPYTERHUB_API_TOKEN",
    "JUPYTERHUB_API_URL",
    "JUPYTERHUB_ACTIVITY_URL",
    "JUPYTERHUB_CLIENT_ID",
    "JUPYTERHUB_OAUTH_ACCESS_SCOPES",
    "JUPYTERHUB_SERVICE_PREFIX",
    "JUPYTERHUB_USER",
)


OF_HUB = ("JUPYTERHUB_", "JPY_")

SHORTEST_KEY = 32
"""Bytes of the key that signs links."""


class ConfigurationError(Exception):
    """The gate cannot run safely with this environment; the message names the variable."""


@dataclass(frozen=True)
class Settings:
    """Everything the gate needs to know, except the token: that one stays inside HubOAuth.

    There is a hub, or there is a key that signs links; never both, and never neither.
    """

    listen: str
    """``unix:PATH`` or ``address:port``."""
    api_upstream: str
    """``unix:PATH`` or ``host:port``."""
    admit: Admit
    cache_seconds: int
    """How long an answer of the hub is kept: the longest delay of a revocation."""
    owner: str
    """The session's user, as JupyterHub spells it, if there is a hub."""
    server_name: str
    """JupyterHub's server name; empty for the default server."""
    prefix: str
    """Path of the session as JupyterHub writes it, percent-encoded, a slash at both ends."""
    activity_url: str
    https: bool
    """The public address is known to be https: every cookie is Secure."""
    foreign: frozenset[str] = frozenset()
    """Those of ``api`` and ``dataserver`` that are not ours."""
    link_key: bytes = field(default=b"", repr=False)
    """Signs links; empty if there is a hub."""


def from_environment(environment: Mapping[str, str]) -> Settings:
    """Settings from environment variables.

    Raises:
        ConfigurationError: a variable is missing, empty or contradicts safety. Without scopes
            JupyterHub's library would let in every user of the hub, and with a cache of zero
            seconds it would keep answers for ever.
    """
    if "GATE_LINK_KEY_FILE" not in environment:
        raise ConfigurationError("GATE_LINK_KEY_FILE is not set, not even to nothing")
    key_file = environment["GATE_LINK_KEY_FILE"]
    for name in REQUIRED if key_file else (*REQUIRED, *REQUIRED_OF_HUB):
        if not environment.get(name):
            or_key = "" if name in REQUIRED else ", and GATE_LINK_KEY_FILE names no key"
            raise ConfigurationError(f"{name} is not set{or_key}")
    admit = environment["GATE_ADMIT"]
    if admit not in get_args(Admit):
        raise ConfigurationError(f"GATE_ADMIT is {admit!r}, must be owner or granted")
    if key_file:
        return _without_hub(environment, key_file)
    prefix = environment["JUPYTERHUB_SERVICE_PREFIX"]
    if not (prefix.startswith("/") and prefix.endswith("/")) or "//" in prefix:
        raise ConfigurationError(f"JUPYTERHUB_SERVICE_PREFIX is not a path: {prefix!r}")
    _require_scopes(environment["JUPYTERHUB_OAUTH_ACCESS_SCOPES"])
    return Settings(
        listen=environment["GATE_LISTEN"],
        api_upstream=environment["API_UPSTREAM"],
        admit="owner" if admit == "owner" else "granted",
        cache_seconds=_positive(environment["GATE_CACHE_SECONDS"]),
        owner=environment["JUPYTERHUB_USER"],
        server_name=environment.get("JUPYTERHUB_SERVER_NAME", ""),
        prefix=prefix,
        activity_url=environment["JUPYTERHUB_ACTIVITY_URL"],
        https=environment.get("JUPYTERHUB_PUBLIC_URL", "").startswith("https:"),
        foreign=_foreign(environment),
    )


def _foreign(environment: Mapping[str, str]) -> frozenset[str]:
    if "FOREIGN_PROGRAMS" not in environment:
        raise ConfigurationError("FOREIGN_PROGRAMS is not set, not even to nothing")
    return frozenset(filter(None, environment["FOREIGN_PROGRAMS"].split(",")))


def _without_hub(environment: Mapping[str, str], key_file: str) -> Settings:
    of_hub = sorted(name for name in environment if name.startswith(OF_HUB))
    if of_hub:
        raise ConfigurationError(
            f"GATE_LINK_KEY_FILE and {of_hub[0]} are both set: links would let people in past the"
            " hub"
        )
    prefix = environment["SESSION_PREFIX"]
    if quote(prefix) != prefix or not (prefix.startswith("/") and prefix.endswith("/")):
        raise ConfigurationError(f"SESSION_PREFIX is not a plain path: {prefix!r}")
    try:
        key = Path(key_file).read_bytes()
    except OSError as error:
        raise ConfigurationError(f"GATE_LINK_KEY_FILE: {error.strerror}: {key_file}") from None
    if len(key) < SHORTEST_KEY:
        raise ConfigurationError(
            f"GATE_LINK_KEY_FILE: {key_file} has less than {SHORTEST_KEY} bytes"
        )
    return Settings(
        listen=environment["GATE_LISTEN"],
        api_upstream=environment["API_UPSTREAM"],
        admit="owner",
        cache_seconds=_positive(environment["GATE_CACHE_SECONDS"]),
        owner=environment["SESSION_USER"],
        server_name="",
        prefix=prefix,
        activity_url="",
        https=False,
        foreign=_foreign(environment),
        link_key=key,
    )


def _require_scopes(text: str) -> None:
    try:
        scopes = json.loads(text)
    except ValueError:
        scopes = None
    if not isinstance(scopes, list) or not scopes or not all(isinstance(s, str) for s in scopes):
        raise ConfigurationError("JUPYTERHUB_OAUTH_ACCESS_SCOPES is not a JSON list of scopes")


def _positive(text: str) -> int:
    try:
        seconds = int(text)
    except ValueError:
        seconds = 0
    if seconds <= 0:
        raise ConfigurationError(
            f"GATE_CACHE_SECONDS is {text!r}, must be a whole number of seconds above 0"
        )
    return seconds
