"""Changes of jobs, to everyone who listens: the newest state of each, in bounded memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Event:
    """A job is new or changed (``{queue, job}``), or no longer in the list (``{queue, id}``)."""

    kind: Literal["job", "forgotten"]
    data: dict[str, Any]


class Events:
    """One sender, any number of listeners; a slow listener skips states, never jobs."""

    def __init__(self) -> None:
        self._listeners: set[Listener] = set()

    def send(self, key: str, event: Event) -> None:
        """``event`` replaces one of the same ``key`` that a listener has not taken yet."""
        for listener in self._listeners:
            listener.waiting.pop(key, None)
            listener.waiting[key] = event
            listener.woken.set()

    def close(self) -> None:
        """End every listener's stream."""
        for listener in self._listeners:
            listener.closed = True
            listener.woken.set()

    def subscribe(self) -> Listener:
        """A listener to events from this moment on; use it as a context."""
        listener = Listener(self._listeners)
        self._listeners.add(listener)
        return listener


class Listener:
    """``with events.subscribe() as listener: async for event in listener``, until closed."""

    def __init__(self, listeners: set[Listener]) -> None:
        self._listeners = listeners
        self.waiting: dict[str, Event] = {}
        self.woken = asyncio.Event()
        self.closed = False

    def __enter__(self) -> Listener:
        return self

    def __exit__(self, *_: object) -> None:
        self._listeners.discard(self)

    async def __aiter__(self) -> AsyncIterator[Event]:
        while not self.closed:
            await self.woken.wait()
            self.woken.clear()
            while self.waiting:
                yield self.waiting.pop(next(iter(self.waiting)))
