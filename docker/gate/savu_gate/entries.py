"""Who else than its owner has entered the session: logged, and shown to the owner."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

log = logging.getLogger("savu_gate")

ANEW = timedelta(minutes=5)
"""Somebody who was away for that long enters anew: one more line in the log."""

KEPT = 100


@dataclass(frozen=True)
class Entry:
    name: str
    kind: str
    """``user``, or ``service`` for a token of a hub service."""
    first: datetime
    last: datetime


class Entries:
    """The newest entries by others, one for each name and kind and uninterrupted stay."""

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        self._entries: dict[tuple[str, str], Entry] = {}
        self._past: list[Entry] = []

    def note(self, name: str, kind: str) -> None:
        """A request of this visitor was let in."""
        now = self._now()
        entry = self._entries.get((name, kind))
        if entry is not None and now - entry.last < ANEW:
            self._entries[name, kind] = replace(entry, last=now)
            return
        if entry is not None:
            self._past = [*self._past, entry][-KEPT:]
        self._entries[name, kind] = Entry(name, kind, now, now)
        log.info("entered by %s %r, who is not the owner", kind, name)

    def newest_first(self) -> list[Entry]:
        everyone = [*self._past, *self._entries.values()]
        return sorted(everyone, key=lambda entry: entry.last, reverse=True)[:KEPT]
