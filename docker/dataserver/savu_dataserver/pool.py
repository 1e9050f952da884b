"""Who does which task when: lanes of workers, so that nothing quick waits behind anything slow.

HDF5 has one lock for a whole process, a mount may hang, and a damaged file may crash its reader.
So files are only touched by workers; metadata and small values have a lane of their own; a worker
that is hung or dead is replaced, and only its own request fails.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

from . import limits, problems
from .budget import ByteBudget
from .problems import Problem
from .workers import Nursery, Reply, TaskHeavy, Worker, WorkerDied, WorkerStalled

log = logging.getLogger("savu_dataserver.pool")

CRASHES = {signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL}
"""A worker's own fault, which is its file's; by any other signal it was ended by somebody."""


@dataclass(eq=False)
class _Turn:
    file: str
    granted: asyncio.Future[None]


@dataclass
class Lane:
    """Workers of one kind, and who waits for one."""

    name: str
    quick: bool
    most: int
    """Workers at a time."""

    most_per_file: int
    """Of which so many for one file: one on a hung mount does not take them all."""

    patience: float
    """Seconds that a request waits for its turn before it is answered 503."""

    idle: list[Worker] = field(default_factory=list)
    busy: int = 0
    files: Counter[str] = field(default_factory=Counter)
    waiting: deque[_Turn] = field(default_factory=deque)

    def room_for(self, file: str) -> bool:
        return self.busy < self.most and self.files[file] < self.most_per_file

    async def enter(self, file: str) -> None:
        """Wait for a turn.

        Raises:
            Problem: 503 if there are too many others, or none of them ends.
        """
        if self.room_for(file) and not any(turn.file == file for turn in self.waiting):
            self._take(file)
            return
        if len(self.waiting) >= limits.WAITING_REQUESTS:
            raise problems.busy("Too many requests are waiting; try again in a moment.")
        turn = _Turn(file, asyncio.get_running_loop().create_future())
        self.waiting.append(turn)
        try:
            async with asyncio.timeout(self.patience):
                await turn.granted
        except BaseException as error:
            if turn.granted.done() and not turn.granted.cancelled():
                self.leave(file)
            else:
                self.waiting.remove(turn)
            if isinstance(error, TimeoutError):
                raise problems.busy(
                    f"Other requests for data keep {file} waiting; try again in a moment."
                ) from None
            raise

    def leave(self, file: str) -> None:
        """End a turn; the next who can go goes."""
        self.busy -= 1
        self.files[file] -= 1
        if not self.files[file]:
            del self.files[file]
        for turn in list(self.waiting):
            if self.busy >= self.most:
                return
            if not turn.granted.done() and self.room_for(turn.file):
                self.waiting.remove(turn)
                self._take(turn.file)
                turn.granted.set_result(None)

    def _take(self, file: str) -> None:
        self.busy += 1
        self.files[file] += 1


class Pool:
    """Gives tasks to workers."""

    def __init__(self, max_bytes: int) -> None:
        self._nursery = Nursery()
        self._budget = ByteBudget(4 * max_bytes)
        self._quick = Lane("metadata", quick=True, most=6, most_per_file=2, patience=9.0)
        self._slow = Lane("data", quick=False, most=3, most_per_file=2, patience=60.0)
        self._stalled: dict[str, float] = {}
        self._jobs: set[asyncio.Task[Reply]] = set()
        self._keeper: asyncio.Task[None] | None = None

    @property
    def ready(self) -> bool:
        """Whether requests can be answered."""
        return self._nursery.ready

    async def start(self) -> None:
        """Make the first workers."""
        self._nursery.start()
        self._keeper = asyncio.create_task(self._keep())

    async def close(self) -> None:
        """End all workers."""
        if self._keeper is not None:
            self._keeper.cancel()
        for job in list(self._jobs):
            job.cancel()
        self._nursery.close()

    async def perform(self, kind: str, file: str, arguments: dict[str, Any]) -> Reply:
        """Have a task done; if the caller is cancelled, it is dropped.

        Raises:
            Problem: no worker could do it.
        """
        self._refuse_stalled(file)
        task = {"kind": kind, "arguments": arguments}
        try:
            return await self._perform_in(self._quick, task, file)
        except TaskHeavy:
            return await self._perform_in(self._slow, task, file)

    async def _perform_in(self, lane: Lane, task: dict[str, Any], file: str) -> Reply:
        began = time.monotonic()
        try:
            return await self._try_in(lane, task, file)
        except WorkerDied as death:
            # Dead before it can have begun: it was the waiting worker that somebody ended.
            if death.signal in CRASHES or time.monotonic() - began > limits.EARLY_DEATH_SECONDS:
                raise _from_death(death, file) from None
        try:
            # Whatever ended that one may have ended all that waited with it.
            return await self._try_in(lane, task, file, newborn=True)
        except WorkerDied as death:
            raise _from_death(death, file) from None

    async def _try_in(
        self, lane: Lane, task: dict[str, Any], file: str, *, newborn: bool = False
    ) -> Reply:
        await lane.enter(file)
        try:
            # While this one waited, another may have found that the file's storage hangs.
            self._refuse_stalled(file)
            async with asyncio.timeout(limits.STALL_SECONDS):
                idle = None if newborn else _take_idle(lane)
                worker = idle or await self._nursery.birth(lane.quick)
        except TimeoutError:
            lane.leave(file)
            raise problems.busy("The data server is still starting; try again.") from None
        except BaseException:
            lane.leave(file)
            raise
        # The task outlives a caller who has gone: its worker has to come to an end with it.
        job = asyncio.create_task(self._finish(lane, worker, task, file))
        self._jobs.add(job)
        job.add_done_callback(self._jobs.discard)
        try:
            return await asyncio.shield(job)
        except asyncio.CancelledError:
            worker.cancel()
            job.add_done_callback(_drop)
            raise

    async def _finish(self, lane: Lane, worker: Worker, task: dict[str, Any], file: str) -> Reply:
        try:
            return await worker.perform(task, self._budget)
        except WorkerStalled:
            log.warning("%s of %s hung; its worker was killed", task["kind"], file)
            self._stalled[file] = time.monotonic() + limits.STALLED_FILE_SECONDS
            raise problems.not_answering(file) from None
        except WorkerDied as death:
            log.warning("%s of %s: the worker died (signal %s)", task["kind"], file, death.signal)
            raise
        except asyncio.CancelledError:
            worker.kill()
            raise
        finally:
            if worker.usable:
                worker.idle_since = time.monotonic()
                lane.idle.append(worker)
            else:
                worker.close()
            lane.leave(file)

    def _refuse_stalled(self, file: str) -> None:
        now = time.monotonic()
        self._stalled = {name: until for name, until in self._stalled.items() if until > now}
        if file in self._stalled:
            raise problems.not_answering(file)

    async def _keep(self) -> None:
        """Have one worker of each lane wait for work, and not many more for long."""
        while True:
            for lane in (self._quick, self._slow):
                if not lane.idle and not lane.busy:
                    with contextlib.suppress(OSError):
                        lane.idle.append(await self._nursery.birth(lane.quick))
                old = time.monotonic() - limits.IDLE_WORKER_SECONDS
                for worker in lane.idle[:-1]:
                    if worker.idle_since < old:
                        lane.idle.remove(worker)
                        worker.close()
            await asyncio.sleep(limits.IDLE_WORKER_SECONDS / 2)


def _take_idle(lane: Lane) -> Worker | None:
    """A worker that waits for work; those that died meanwhile are forgotten."""
    while lane.idle:
        worker = lane.idle.pop()
        if worker.alive:
            return worker
        worker.close()
    return None


def _from_death(death: WorkerDied, file: str) -> Problem:
    if death.signal in CRASHES:
        return problems.broken(file, "the HDF5 library crashes on it")
    return problems.busy(
        f"Reading {file} was interrupted, maybe for lack of memory. Try again, or select less."
    )


def _drop(job: asyncio.Task[Reply]) -> None:
    """Nobody waits for the answer: give its memory back."""
    if not job.cancelled() and job.exception() is None:
        job.result().release()
