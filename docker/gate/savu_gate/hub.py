"""JupyterHub's OAuth client, with the patience of a program that is asked for every request."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from typing import Any

from jupyterhub.services.auth import HubOAuth
from jupyterhub.utils import url_path_join
from tornado.web import HTTPError

from savu_gate import answers
from savu_gate.answers import Problem

log = logging.getLogger("savu_gate")

HUB_SECONDS = 5.0
"""A frozen hub would otherwise hold every request for a minute."""

STALE_SECONDS = 300.0
"""How long a person who was known is still known while the hub does not answer."""

CACHE_ENTRIES = 10_000
PENDING_LOGINS = 4096
"""Bounds on what strangers can make the gate remember."""

Model = dict[str, Any]


class HubUnreachable(HTTPError):
    """The hub gave no usable answer: neither yes nor no."""

    def __init__(self) -> None:
        super().__init__(503, reason="hub unreachable")


class CodeRefused(HTTPError):
    """The hub answered that this code is not, or no longer, good for a login."""

    def __init__(self) -> None:
        super().__init__(403, reason="login code refused")


class GateOAuth(HubOAuth):
    """HubOAuth that asks once for many, gives up early, and tells *no* from *no answer*.

    While the hub is unreachable, and only then, the last good answer about a token goes on being
    used for ``stale_seconds``. A hub that says no is believed at once.
    """

    login_needed: Problem = answers.LOGIN_NEEDED
    hub_seconds: float = HUB_SECONDS
    stale_seconds: float = STALE_SECONDS

    def __init__(self, **traits: Any) -> None:
        super().__init__(**traits)
        if self.cache_max_age <= 0:
            raise ValueError("cache_max_age of 0 or less would keep answers for ever")
        self._asking: dict[str, asyncio.Future[Model | None]] = {}
        self._good: dict[str, tuple[Model, float]] = {}

    @property
    def home(self) -> tuple[str, str]:
        """The way on for somebody who was refused: text and URL of a link."""
        return "Go to JupyterHub", str(self.hub_host + url_path_join(self.hub_prefix, "home"))

    def cookie_secret(self) -> bytes:
        """Signs the gate's cookies: the same after a restart of the gate, new with every spawn."""
        return hashlib.blake2b(
            self.api_token.encode(), person=b"savu-gate-cookie", digest_size=32
        ).digest()

    async def _check_hub_authorization(
        self, url: str, api_token: str, cache_key: str | None = None, use_cache: bool = True
    ) -> Model | None:
        key = cache_key or hashlib.sha256(api_token.encode("utf-8", "replace")).hexdigest()
        if use_cache:
            try:
                return self.cache[key]
            except KeyError:
                pass
        asking = self._asking.get(key)
        if asking is None:
            asking = asyncio.ensure_future(self._ask(url, api_token, key))
            self._asking[key] = asking
            asking.add_done_callback(lambda _: self._asking.pop(key, None))
        # A visitor who goes away must not take the answer from the others who wait for it.
        return await asyncio.shield(asking)

    async def _ask(self, url: str, api_token: str, key: str) -> Model | None:
        try:
            model = await asyncio.wait_for(
                super()._check_hub_authorization(url, api_token, key, use_cache=False),
                self.hub_seconds,
            )
            if model is not None and not _is_model(model):
                raise ValueError("the hub's answer is not a user")
        except Exception as error:
            model = self._last_good(key, error)
        else:
            self._remember(key, model)
        if len(self.cache) >= CACHE_ENTRIES:
            self.cache.clear()
        self.cache[key] = model
        return model

    def _last_good(self, key: str, error: Exception) -> Model:
        model, when = self._good.get(key, ({}, 0.0))
        age = time.monotonic() - when
        if not model or age > self.stale_seconds:
            log.warning("the hub does not answer (%s)", type(error).__name__)
            raise HubUnreachable from error
        log.warning("the hub does not answer; an answer %d s old is used", age)
        return model

    def _remember(self, key: str, model: Model | None) -> None:
        now = time.monotonic()
        self._good = {
            other: kept
            for other, kept in self._good.items()
            if other != key and now - kept[1] <= self.stale_seconds
        }
        if model is not None:
            self._good[key] = (model, now)

    async def _token_for_code(self, code: str, *args: Any, **kwargs: Any) -> str:
        try:
            token: str = await asyncio.wait_for(
                super()._token_for_code(code, *args, **kwargs), self.hub_seconds
            )
        except HTTPError as error:
            # JupyterHub's library answers 500 for both; only a hub that refused is quoted.
            if (error.log_message or "").startswith("Failed to check authorization:"):
                raise CodeRefused from error
            raise HubUnreachable from error
        except Exception as error:
            raise HubUnreachable from error
        return token

    def generate_state(self, next_url: str | None = None, **extra_state: Any) -> str:
        while len(self._oauth_states) >= PENDING_LOGINS:
            del self._oauth_states[next(iter(self._oauth_states.timestamps))]
        state: str = super().generate_state(next_url, **extra_state)
        return state


def _is_model(model: object) -> bool:
    return (
        isinstance(model, dict)
        and isinstance(model.get("name"), str)
        and isinstance(model.get("scopes"), list)
    )
