"""The proxy whose word on activity is not taken: a session's gate is the only source of it."""

from __future__ import annotations

from typing import Any

from jupyterhub.proxy import ConfigurableHTTPProxy


class SavuProxy(ConfigurableHTTPProxy):  # type: ignore[misc]
    """configurable-http-proxy, without its record of when a route was last used.

    It counts any request as activity, refused ones included: anybody who sends one every minute
    would keep somebody else's idle session alive. Sessions report the requests of people and
    running jobs themselves.

        c.JupyterHub.proxy_class = "savu"
    """

    async def get_all_routes(self) -> dict[str, Any]:
        routes: dict[str, Any] = await super().get_all_routes()
        for route in routes.values():
            route["data"].pop("last_activity", None)
        return routes
