"""What JupyterHub knows of its servers."""

from __future__ import annotations

import json
import os
from typing import Any

from tornado.httpclient import AsyncHTTPClient

from savu_spawner.caretaker.judgement import Session

REQUEST_SECONDS = 10.0


async def known_sessions() -> set[Session]:
    """Servers that run, start or stop, or that the hub is still looking at after its own start.

    Raises:
        Exception: the hub cannot be asked, or does not answer as it should; nothing is known then.
    """
    url = f"{os.environ['JUPYTERHUB_API_URL']}/users?state=active"
    headers = {
        "Authorization": f"token {os.environ['JUPYTERHUB_API_TOKEN']}",
        "Accept": "application/jupyterhub-pagination+json",
    }
    known: set[Session] = set()
    while url:
        answer = await AsyncHTTPClient().fetch(
            url, headers=headers, request_timeout=REQUEST_SECONDS
        )
        page: dict[str, Any] = json.loads(answer.body)
        for user in page["items"]:
            # Absent, not empty, where the service lacks the scope read:servers.
            known |= {(user["name"], server) for server in user["servers"]}
        following = page["_pagination"]["next"]
        url = following["url"] if following else ""
    return known
