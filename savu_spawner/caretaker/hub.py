"""What JupyterHub knows of its servers."""

from __future__ import annotations

import json
import os
from typing import Any

from tornado.httpclient import AsyncHTTPClient, HTTPClientError

from savu_spawner.caretaker.judgement import Session

REQUEST_SECONDS = 10.0


FORBIDDEN = 403


class Superseded(Exception):
    """The hub does not know this token: it is a later one, with a caretaker of its own."""


async def known_sessions() -> set[Session]:
    """Servers that run, start or stop, or that the hub is still looking at after its own start.

    Raises:
        Superseded: this is the caretaker of an earlier hub.
        Exception: the hub cannot be asked, or does not answer as it should; nothing is known then.
    """
    url = f"{os.environ['JUPYTERHUB_API_URL']}/users?state=active"
    known: set[Session] = set()
    while url:
        page = await _ask(url)
        for user in page["items"]:
            # Absent, not empty, where the service lacks the scope read:servers.
            known |= {(user["name"], server) for server in user["servers"]}
        following = page["_pagination"]["next"]
        url = following["url"] if following else ""
    return known


async def _ask(url: str) -> dict[str, Any]:
    try:
        return await _get(url)
    except HTTPClientError as error:
        if error.code == FORBIDDEN and not await _is_token_valid():
            raise Superseded("the hub does not know this caretaker's token") from None
        raise


async def _is_token_valid() -> bool:
    """Any token may ask whose it is; a refusal of something else is a scope that lacks."""
    try:
        await _get(f"{os.environ['JUPYTERHUB_API_URL']}/user")
    except HTTPClientError as error:
        return error.code != FORBIDDEN
    return True


async def _get(url: str) -> dict[str, Any]:
    headers = {
        "Authorization": f"token {os.environ['JUPYTERHUB_API_TOKEN']}",
        "Accept": "application/jupyterhub-pagination+json",
    }
    answer = await AsyncHTTPClient().fetch(url, headers=headers, request_timeout=REQUEST_SECONDS)
    found: dict[str, Any] = json.loads(answer.body)
    return found
