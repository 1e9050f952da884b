"""What the gate is told by its environment, checked once at the start."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

Admit = Literal["owner", "granted"]

REQUIRED = (
    "GATE_LISTEN",
    "API_UPSTREAM",
    "GATE_ADMIT",
    "GATE_CACHE_SECONDS",
    "JUPYTERHUB_API_TOKEN",
    "JUPYTERHUB_API_URL",
    "JUPYTERHUB_ACTIVITY_URL",
    "JUPYTERHUB_CLIENT_ID",
    "JUPYTERHUB_OAUTH_ACCESS_SCOPES",
    "JUPYTERHUB_SERVICE_PREFIX",
    "JUPYTERHUB_USER",
)


class ConfigurationError(Exception):
    """The gate cannot run safely with this environment; the message names the variable."""


@dataclass(frozen=True)
class Settings:
    """Everything the gate needs to know, except the token: that one stays inside HubOAuth."""

    listen: str
    """``unix:PATH`` or ``address:port``."""
    api_upstream: str
    """``unix:PATH`` or ``host:port``."""
    admit: Admit
    cache_seconds: int
    """How long an answer of the hub is kept: the longest delay of a revocation."""
    owner: str
    """The session's user, as JupyterHub spells it."""
    server_name: str
    """JupyterHub's server name; empty for the default server."""
    prefix: str
    """Path of the session as JupyterHub writes it, percent-encoded, a slash at both ends."""
    activity_url: str
    https: bool
    """The public address is known to be https: every cookie is Secure."""


def from_environment(environment: Mapping[str, str]) -> Settings:
    """Settings from environment variables.

    Raises:
        ConfigurationError: a variable is missing, empty or contradicts safety. Without scopes
            JupyterHub's library would let in every user of the hub, and with a cache of zero
            seconds it would keep answers for ever.
    """
    for name in REQUIRED:
        if not environment.get(name):
            raise ConfigurationError(f"{name} is not set")
    admit = environment["GATE_ADMIT"]
    if admit not in get_args(Admit):
        raise ConfigurationError(f"GATE_ADMIT is {admit!r}, must be owner or granted")
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
