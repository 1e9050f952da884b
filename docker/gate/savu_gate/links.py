"""Sessions without a hub: whoever starts one has its key, and signs links with it.

A *link* lets one browser in: it is good for a short time and accepted once. What it is exchanged
for is a *pass*, which the browser keeps in a cookie of this session, and which scripts send as
``Authorization: Bearer …``. Both are values signed as tornado signs cookies (HMAC-SHA256 with the
time and a name), so no library of its own is needed; ``savu_spawner.contract`` has the same names
for whoever makes them.

Everything else about a request, the XSRF rule, the cookie's attributes, who is let in, is decided
by the same code as with a hub: :class:`LinkAuth` only answers in the hub's place.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
import time
from collections.abc import Callable
from typing import Any

from jupyterhub.services.auth import HubOAuth
from tornado.web import create_signed_value, decode_signed_value

from savu_gate import answers
from savu_gate.answers import Problem

LINK = "savu-link"
PASS = "savu-pass"
"""Names that a signed value carries: neither can be used as the other."""

LINK_SECONDS = 120
"""How long a link is good for."""

AHEAD_SECONDS = 30
"""How far the clock of whoever made a link may be ahead."""

PASS_DAYS = 31
"""Longest life of a pass; with the session its key ends, and every pass with it."""

SCOPE = "access:servers"


def signed(key: bytes, name: str, value: str, clock: Callable[[], float] = time.time) -> str:
    """``value`` signed, in letters that stand in a URL or a header as they are."""
    made = create_signed_value(key, name, value, version=2, clock=clock)
    return base64.urlsafe_b64encode(made).decode().rstrip("=")


def unsigned(
    key: bytes, name: str, text: str, seconds: float, clock: Callable[[], float] = time.time
) -> str | None:
    """What was signed; None if it was not with this key and name, or longer ago than that."""
    try:
        made = base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    except (ValueError, binascii.Error):
        return None
    value = decode_signed_value(key, name, made, seconds / 86400, clock=clock, min_version=2)
    return None if value is None else value.decode("utf-8", "replace")


class Links:
    """Which links have been used.

    Args:
        key: of this session; the same after a restart of the gate.
        clock: seconds since 1970.

    A link's value is ``<seconds since 1970>.<a random word>``. A gate that has just started does
    not know what was used before, and refuses links from before.
    """

    def __init__(self, key: bytes, clock: Callable[[], float] = time.time) -> None:
        self._key = key
        self._clock = clock
        self._started = int(clock())
        self._used: dict[str, float] = {}

    def use(self, link: str) -> bool:
        """Whether ``link`` lets somebody in, now and never again."""
        value = unsigned(self._key, LINK, link, LINK_SECONDS, self._clock)
        if value is None:
            return False
        made, _, word = value.partition(".")
        now = self._clock()
        if not word or not made.isdecimal():
            return False
        if not self._started <= int(made) <= now + AHEAD_SECONDS:
            return False
        self._used = {old: until for old, until in self._used.items() if until > now}
        if value in self._used:
            return False
        self._used[value] = int(made) + LINK_SECONDS + 1
        return True


class LinkAuth(HubOAuth):
    """In the place of the hub: whoever has a pass of this session is its owner."""

    login_needed: Problem = answers.LINK_NEEDED
    home: tuple[str, str] | None = None

    def __init__(self, key: bytes, owner: str, prefix: str) -> None:
        session = hashlib.blake2b(key, person=b"savu-gate-name", digest_size=8).hexdigest()
        super().__init__(
            # Names the cookies. Cookies ignore ports: two sessions on one machine share them.
            oauth_client_id=f"savu-session-{session}",
            # Only a hub would be asked with it, and none is.
            api_token="none",
            base_url=prefix,
            access_scopes=[SCOPE],
        )
        self._key = key
        self._owner = owner

    def cookie_secret(self) -> bytes:
        """Signs the gate's cookies: the same after a restart of the gate, another a session."""
        return hashlib.blake2b(self._key, person=b"savu-gate-cookie", digest_size=32).digest()

    def new_pass(self) -> str:
        """What a link is exchanged for."""
        return signed(self._key, PASS, secrets.token_urlsafe(16))

    async def _check_hub_authorization(
        self, url: str, api_token: str, cache_key: str | None = None, use_cache: bool = True
    ) -> dict[str, Any] | None:
        if unsigned(self._key, PASS, api_token, PASS_DAYS * 86400) is None:
            return None
        return {"kind": "user", "name": self._owner, "scopes": [SCOPE]}
