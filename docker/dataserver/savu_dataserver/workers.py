"""The web server's side of nursery and workers: births, deaths, and one task at a time."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import logging
import os
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from typing import Any

from . import limits, wire
from .budget import ByteBudget
from .hdf5.environment import cleaned

log = logging.getLogger("savu_dataserver.workers")


class WorkerDied(Exception):
    """A worker's process ended during a task.

    ``signal`` is the number of the signal that ended it, 0 if it ended by itself, None if unknown.
    """

    def __init__(self, signal: int | None) -> None:
        super().__init__(f"worker ended by signal {signal}")
        self.signal = signal


class WorkerStalled(Exception):
    """A worker showed no progress for too long and was killed."""


class TaskHeavy(Exception):
    """The task is for a worker that may take its time."""


@dataclass
class Reply:
    """An answer, held in memory until it is sent; ``release`` gives its share of that back."""

    status: int
    media_type: str
    headers: dict[str, str]
    body: bytearray
    budget: ByteBudget
    _released: bool = field(default=False, init=False)

    def release(self) -> None:
        if not self._released:
            self._released = True
            self.budget.release(len(self.body))


RESTART_SECONDS = 0.5
"""Between the end of a nursery and the start of the next, if no request wants one sooner."""


class Nursery:
    """Starts the nursery process, and again if it ends."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._control: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._ready = asyncio.Event()
        self._ended: dict[int, asyncio.Future[int | None]] = {}
        self._closed = False

    @property
    def ready(self) -> bool:
        """Whether workers can be born now."""
        return self._ready.is_set()

    def start(self) -> None:
        """Start the process; ``ready`` once it has imported HDF5."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "savu_dataserver.nursery", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env=cleaned(os.environ),
                stdin=subprocess.DEVNULL,
            )
        self._control = ours
        asyncio.get_running_loop().add_reader(ours, self._hear, ours)

    async def birth(self, quick: bool) -> Worker:
        """A new worker."""
        if self._control is None:
            self.start()
        await self._ready.wait()
        assert self._control is not None
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        number = next(self._numbers)
        ended = self._ended[number] = asyncio.get_running_loop().create_future()
        with theirs:
            order = json.dumps({"birth": number, "quick": quick}).encode()
            socket.send_fds(self._control, [order], [theirs.fileno()])
        return Worker(number, ours, ended, self)

    def kill(self, number: int) -> None:
        """End a worker, whatever it does."""
        if self._control is not None:
            with contextlib.suppress(OSError):
                self._control.send(json.dumps({"kill": number}).encode())

    def _start_again(self) -> None:
        if self._control is None and not self._closed:
            self.start()

    def close(self) -> None:
        """End the nursery and all workers."""
        self._closed = True
        if self._control is not None:
            self._lose_control()
        if self._process is not None:
            try:
                self._process.wait(1.0)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def _hear(self, control: socket.socket) -> None:
        while True:
            try:
                packet = control.recv(4096)
            except BlockingIOError:
                return
            except OSError:
                packet = b""
            if not packet:
                log.error("the nursery ended; a new one is started")
                self._lose_control()
                if self._process is not None:
                    self._process.poll()
                # Not at once: one that ends at its start must not spin.
                asyncio.get_running_loop().call_later(RESTART_SECONDS, self._start_again)
                return
            message: dict[str, Any] = json.loads(packet)
            if "ready" in message:
                self._ready.set()
            else:
                self._report(message["ended"], message["status"])

    def _report(self, number: int, status: int | None) -> None:
        future = self._ended.pop(number, None)
        if future is not None and not future.done():
            future.set_result(status)

    def _lose_control(self) -> None:
        assert self._control is not None
        with contextlib.suppress(RuntimeError):
            asyncio.get_running_loop().remove_reader(self._control)
        self._control.close()
        self._control = None
        self._ready.clear()
        for number in list(self._ended):
            self._report(number, None)


class Worker:
    """One worker process, doing one task at a time."""

    def __init__(
        self,
        number: int,
        connection: socket.socket,
        ended: asyncio.Future[int | None],
        nursery: Nursery,
    ) -> None:
        self.number = number
        self.usable = True
        """Whether another task may be given to it."""

        self.idle_since = 0.0
        self._connection = connection
        self._ended = ended
        self._nursery = nursery
        self._tasks = 0
        self._born_resident: int | None = None

    @property
    def alive(self) -> bool:
        """Whether its process still holds its end of the socket."""
        try:
            return self._connection.recv(1, socket.MSG_PEEK) != b""
        except BlockingIOError:
            return True
        except OSError:
            return False

    def close(self) -> None:
        """Let it end: it does at its next look at the socket."""
        self.usable = False
        self._connection.close()

    def kill(self) -> None:
        """End it now."""
        self._nursery.kill(self.number)
        self.close()

    def cancel(self) -> None:
        """Tell it that nobody waits for its answer any more."""
        with contextlib.suppress(OSError):
            self._connection.send(wire.frame(wire.CANCEL))

    async def perform(self, task: dict[str, Any], budget: ByteBudget) -> Reply:
        """Have a task done.

        Raises:
            WorkerDied, WorkerStalled: it is lost.
            TaskHeavy: it declined, and can do another.
        """
        loop = asyncio.get_running_loop()
        try:
            await loop.sock_sendall(self._connection, wire.frame(wire.TASK, task))
            while True:
                async with asyncio.timeout(limits.STALL_SECONDS):
                    kind, length = wire.FRAME.unpack(await self._exactly(wire.FRAME.size))
                    payload = await self._exactly(length)
                if kind == wire.HEAVY:
                    raise TaskHeavy
                if kind == wire.HEADER:
                    break
            header: dict[str, Any] = json.loads(payload)
            size = int(header["length"])
            await budget.acquire(size)
            reply = Reply(
                header["status"], header["media_type"], header["headers"], bytearray(size), budget
            )
            try:
                async with asyncio.timeout(limits.STALL_SECONDS):
                    await self._fill(memoryview(reply.body))
            except BaseException:
                reply.release()
                raise
        except TimeoutError:
            self.kill()
            raise WorkerStalled from None
        except (EOFError, OSError):
            self.close()
            raise WorkerDied(await self._death_signal()) from None
        self._judge(header)
        return reply

    def _judge(self, header: dict[str, Any]) -> None:
        """Whether it has become too large, or left something open."""
        self._tasks += 1
        if self._born_resident is None:
            self._born_resident = header["resident"]
        grown = header["resident"] - self._born_resident
        self.usable = (
            header["clean"]
            and grown < limits.WORKER_GROWTH_BYTES
            and self._tasks < limits.WORKER_TASKS
        )

    async def _death_signal(self) -> int | None:
        try:
            status = await asyncio.wait_for(asyncio.shield(self._ended), 1.0)
        except TimeoutError:
            return None
        return None if status is None else max(0, -status)

    async def _exactly(self, count: int) -> bytes:
        received = bytearray(count)
        await self._fill(memoryview(received))
        return bytes(received)

    async def _fill(self, view: memoryview) -> None:
        loop = asyncio.get_running_loop()
        while view:
            count = await loop.sock_recv_into(self._connection, view)
            if count == 0:
                raise EOFError
            view = view[count:]
