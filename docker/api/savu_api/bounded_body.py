"""Requests with too large a body are refused before they are read into memory."""

from __future__ import annotations

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from savu_api.problems import Problem, answer

MAX_BODY_BYTES: Final = 8 * 1024 * 1024
"""A list of fifty plugins has some 100 kB as JSON."""


class BoundedBodyMiddleware:
    """Answers 413 instead of reading on."""

    def __init__(self, app: ASGIApp, limit: int = MAX_BODY_BYTES) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        problem = Problem(
            413,
            "body-too-large",
            f"The request has more than {self._limit // 2**20} MiB, which no process list needs.",
            headers={"Connection": "close"},
        )
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > self._limit:
            await answer(problem)(scope, receive, send)
            return
        received = 0
        refused = False

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._limit:
                # Whatever the app makes of this, the answer is ours.
                raise problem
            return message

        async def sent(message: Message) -> None:
            nonlocal refused
            if received <= self._limit:
                await send(message)
            elif not refused:
                refused = True
                await answer(problem)(scope, receive, send)

        await self._app(scope, counted, sent)
