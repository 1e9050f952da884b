"""What savu-spawner adds to JupyterHub's own pages: how a session ended.

In ``jupyterhub_config.py``::

    from savu_spawner import hub_pages

    c.JupyterHub.template_paths = [hub_pages.TEMPLATES]
    c.JupyterHub.extra_handlers = hub_pages.HANDLERS
"""

from __future__ import annotations

from pathlib import Path

from jupyterhub.handlers.base import BaseHandler
from tornado import web

TEMPLATES = str(Path(__file__).parent / "templates")
"""Pages that extend JupyterHub's home and not-running pages."""


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
        spawner = user and user.spawners.get(server_name)
        self.set_header("Content-Type", "application/json")
        self.set_header("Cache-Control", "no-store")
        ended = getattr(spawner, "ended", None)
        self.finish(ended if ended and not spawner.active else "null")


HANDLERS = [(r"/savu/ended/([^/]+)/?([^/]*)", EndedHandler)]
"""For ``c.JupyterHub.extra_handlers``."""
