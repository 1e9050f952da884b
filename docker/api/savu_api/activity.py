"""When a person last asked for something: what decides whether the session is idle."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

INTERNAL: Final = "/internal/"
EVENTS: Final = "/jobs/events"


class Activity:
    """Time of the last request by a person; None before the first."""

    def __init__(self) -> None:
        self.last_user_event: datetime | None = None

    def note(self, path: str, background: bool) -> None:
        """A request came in; probes, streams and what the page repeats by itself do not count."""
        if not background and not path.startswith(INTERNAL) and path != EVENTS:
            self.last_user_event = datetime.now(UTC)


class ActivityMiddleware:
    """Notes each request as it begins."""

    def __init__(self, app: ASGIApp, activity: Activity) -> None:
        self._app = app
        self._activity = activity

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            background = (b"x-background", b"1") in scope["headers"]
            self._activity.note(scope["path"], background)
        await self._app(scope, receive, send)
