"""Ask another program of the session over its socket."""

from __future__ import annotations

import socket
from typing import Any

from tornado.httpclient import HTTPResponse
from tornado.netutil import Resolver
from tornado.simple_httpclient import SimpleAsyncHTTPClient

ANSWER_BYTES = 64 * 1024
"""``api`` runs what users write: its answers are not trusted to be small."""


class _UnixResolver(Resolver):
    """Finds every host at one unix socket."""

    def initialize(self, path: str) -> None:
        self._path = path

    async def resolve(
        self, host: str, port: int, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[tuple[int, Any]]:
        return [(socket.AF_UNIX, self._path)]


class Program:
    """Another program of the session.

    Args:
        upstream: ``unix:PATH`` or ``host:port``.
    """

    def __init__(self, upstream: str) -> None:
        path = upstream.removeprefix("unix:")
        is_unix = path != upstream
        self._base = "http://program" if is_unix else f"http://{upstream}"
        self._client = SimpleAsyncHTTPClient(
            force_instance=True,
            resolver=_UnixResolver(path=path) if is_unix else None,
            max_body_size=ANSWER_BYTES,
            max_buffer_size=2 * ANSWER_BYTES,
        )

    async def get(self, path: str, seconds: float) -> HTTPResponse:
        """The program's answer, whatever its status.

        Raises:
            OSError, tornado.httpclient.HTTPError: it does not answer within ``seconds``.
        """
        return await self._client.fetch(
            self._base + path,
            raise_error=False,
            connect_timeout=seconds,
            request_timeout=seconds,
            follow_redirects=False,
        )
