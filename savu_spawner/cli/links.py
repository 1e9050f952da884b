"""What opens a session without a hub: links for browsers, tokens for scripts."""

from __future__ import annotations

import base64
import secrets
from urllib.parse import quote

from tornado.web import create_signed_value

from savu_spawner.contract import CALLBACK_PATH, LINK_NAME, PASS_NAME


def new_link(key: bytes, now: float) -> str:
    """Good for a short time from ``now`` (seconds since 1970), once."""
    return _signed(key, LINK_NAME, f"{int(now)}.{secrets.token_urlsafe(16)}", now)


def new_token(key: bytes, now: float) -> str:
    """For ``Authorization: Bearer …``; good while the session lasts, for a month at most."""
    return _signed(key, PASS_NAME, secrets.token_urlsafe(16), now)


def entrance(prefix: str, link: str) -> str:
    """Path and query of the address that lets a browser in."""
    return f"{prefix}{CALLBACK_PATH}?link={quote(link)}"


def _signed(key: bytes, name: str, value: str, now: float) -> str:
    made = create_signed_value(key, name, value, version=2, clock=lambda: now)
    return base64.urlsafe_b64encode(made).decode().rstrip("=")
