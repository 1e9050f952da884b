"""Tells JupyterHub when the session was last in use: by a person, or by a running job.

The gate is the only source. An open tab, a stream or a request that was refused does not count.
"""

from __future__ import annotations

import asyncio
import json
import logging
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from tornado.httpclient import AsyncHTTPClient, HTTPRequest

from savu_gate.programs import Program

log = logging.getLogger("savu_gate")

EVERY_SECONDS = 30.0
API_SECONDS = 5.0
HUB_SECONDS = 10.0


class Hub(Protocol):
    """What is used of HubOAuth."""

    api_token: str
    certfile: str
    keyfile: str
    client_ca: str


def latest_use(now: datetime, answer: object, seen_by_gate: datetime | None) -> datetime | None:
    """When the session was last in use, never later than ``now``; None if never.

    Args:
        now: with time zone.
        answer: what ``api`` said: ``{"busy": bool, "last_user_event": ISO 8601 or null}``. Users
            can change what it says, which keeps awake their own session only.
        seen_by_gate: when a person last used what ``api`` does not see, the page and the data.
    """
    fields = answer if isinstance(answer, dict) else {}
    if fields.get("busy") is True:
        return now
    times = [time for time in (_time(fields.get("last_user_event")), seen_by_gate) if time]
    return min(max(times), now) if times else None


def _time(text: object) -> datetime | None:
    if not isinstance(text, str):
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def report(server_name: str, time: datetime) -> str:
    """Body of JupyterHub's ``POST /users/:name/activity``, as JSON."""
    stamp = time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return json.dumps({"servers": {server_name: {"last_activity": stamp}}, "last_activity": stamp})


class Activity:
    """Asks ``api`` and reports to the hub, until cancelled."""

    def __init__(self, api: Program, hub: Hub, url: str, server_name: str) -> None:
        self._api = api
        self._hub = hub
        self._url = url
        self._server_name = server_name
        self._seen: datetime | None = None
        self._reported: datetime | None = None
        self._trouble: str | None = None

    def note(self) -> None:
        """A person used the page or the data just now."""
        self._seen = datetime.now(UTC)

    async def run(self, every: float = EVERY_SECONDS) -> None:
        while True:
            try:
                await self.tell()
            except Exception:
                log.exception("use of the session could not be reported")
            await asyncio.sleep(every)

    async def tell(self) -> None:
        """Report once, if there is anything new."""
        time = latest_use(datetime.now(UTC), await self._ask(), self._seen)
        if time is None or (self._reported and time <= self._reported + timedelta(seconds=1)):
            return
        try:
            await AsyncHTTPClient().fetch(self._request(time))
        except Exception as error:
            self._log_once(f"use of the session cannot be reported to the hub ({error})")
        else:
            self._reported = time
            self._trouble = None

    async def _ask(self) -> Any:
        try:
            response = await self._api.get("/internal/activity", API_SECONDS)
            return json.loads(response.body) if response.code == 200 else None
        except Exception as error:
            log.debug("api does not say whether it is busy: %s", error)
            return None

    def _request(self, time: datetime) -> HTTPRequest:
        return HTTPRequest(
            self._url,
            method="POST",
            body=report(self._server_name, time),
            headers={
                "Authorization": f"token {self._hub.api_token}",
                "Content-Type": "application/json",
            },
            client_cert=self._hub.certfile or None,
            client_key=self._hub.keyfile or None,
            ca_certs=self._hub.client_ca or None,
            request_timeout=HUB_SECONDS,
            follow_redirects=False,
        )

    def _log_once(self, sentence: str) -> None:
        if sentence != self._trouble:
            log.warning("%s", sentence)
        self._trouble = sentence
