"""How many bytes of answers are held in memory at a time."""

from __future__ import annotations

import asyncio
from collections import deque


class ByteBudget:
    """Bytes lent in the order of asking; an answer larger than all is lent all."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._left = total
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def acquire(self, count: int) -> None:
        """Wait until there is room."""
        count = min(count, self._total)
        if not self._waiting and count <= self._left:
            self._left -= count
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (count, turn)
        self._waiting.append(entry)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.release(count)
            else:
                self._waiting.remove(entry)
                self._hand_out()
            raise

    def release(self, count: int) -> None:
        """Give back what was acquired."""
        self._left += min(count, self._total)
        self._hand_out()

    def _hand_out(self) -> None:
        while self._waiting and self._waiting[0][0] <= self._left:
            count, turn = self._waiting.popleft()
            if not turn.cancelled():
                self._left -= count
                turn.set_result(None)
