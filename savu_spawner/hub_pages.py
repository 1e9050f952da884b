"""What savu-spawner adds to JupyterHub's own pages: how a session ended.

In ``jupyterhub_config.py``::

    from savu_spawner import hub_pages

    c.JupyterHub.template_paths = [hub_pages.TEMPLATES]
    c.JupyterHub.extra_handlers = hub_pages.HANDLERS
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jupyterhub.handlers.base import BaseHandler
from tornado import web

TEMPLATES = str(Path(__file__).parent / "templates")
"""Pages that extend JupyterHub's home and not-running pages."""


def how_it_ended(spawner: Any) -> dict[str, str] | None:
    """``{when, reason}`` of a session that is over, or about to be; None of one that is not.

    While a session is being ended its open page has noticed already, and asks.
    """
    if spawner is None or spawner.ready or spawner.pending not in (None, "stop"):
        return None
    # A hub may have other spawners beside ours.
    ended: dict[str, str] | None = getattr(spawner, "ended", None)
    return ended


class EndedHandler(BaseHandler):  # type: ignore[misc]
    """``GET /hub/savu/ended/<user>/[<server>]``: ``{when, reason}`` of the last end, or null.

    For the open page of a session that is gone. Answers the session's owner and administrators;
    to others such a session does not exist.
    """

    async def get(self, user_name: str, server_name: str = "") -> None:
        visitor = self.current_user
        if visitor is None:
            raise web.HTTPError(401)
        if visitor.name != user_name and not visitor.admin:
            raise web.HTTPError(404)
        user = self.find_user(user_name)
        # JupyterHub forgets a named server's spawner when it stops; its row in the database stays.
        is_known = user and server_name in user.orm_user.orm_spawners
        spawner = user.spawners[server_name] if is_known else None
        self.set_header("Content-Type", "application/json")
        self.set_header("Cache-Control", "no-store")
        self.finish(how_it_ended(spawner) or "null")


HANDLERS = [(r"/savu/ended/([^/]+)/?([^/]*)", EndedHandler)]
"""For ``c.JupyterHub.extra_handlers``."""
