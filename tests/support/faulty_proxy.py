"""A TCP proxy that misbehaves as told, in a thread of its own.

with FaultyProxy(("127.0.0.1", 636)) as proxy:
    proxy.fault = "silent"
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from contextvars import ContextVar
from types import TracebackType
from typing import Literal

_connection: ContextVar[asyncio.Task[None]] = ContextVar("connection")
"""The task that serves it, seen from both directions' tasks."""

Fault = Literal["none", "silent", "drip"]


class FaultyProxy:
    """Passes bytes on, or does not.

    ``fault``, at any time:

    - ``none``: bytes are passed on, each way after half of ``round_trip`` seconds;
    - ``silent``: connections are accepted, and nothing is ever answered;
    - ``drip``: the server's bytes come one at a time, ``drip_seconds`` apart.

    ``received`` is what clients sent; ``connections`` how many there were.
    """

    def __init__(self, server: tuple[str, int], *, round_trip: float = 0.0) -> None:
        self.fault: Fault = "none"
        self.round_trip = round_trip
        self.drip_seconds = 1.0
        self.received = bytearray()
        self.connections = 0
        self.port = 0
        self._server = server
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="faulty proxy")
        self._tasks: set[asyncio.Task[None]] = set()
        self._forgotten: set[asyncio.Task[None]] = set()
        self._listener: asyncio.Server | None = None

    def refuse(self) -> None:
        """Close the port; open connections stay."""
        self._call(self._refuse())

    def accept(self) -> None:
        """Open the port again."""
        self._call(self._listen())

    def cut(self) -> None:
        """End every open connection."""
        self._call(self._cut())

    def forget(self) -> None:
        """Drop what arrives on connections that are open now, as a firewall that forgot them."""
        self._forgotten = set(self._tasks)

    def _is_forgotten(self) -> bool:
        return _connection.get() in self._forgotten

    def __enter__(self) -> FaultyProxy:
        self._thread.start()
        self.accept()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.refuse()
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _call(self, coroutine: object) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)  # type: ignore[arg-type]

    async def _listen(self) -> None:
        self._listener = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._listener.sockets[0].getsockname()[1]

    async def _refuse(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    async def _cut(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        _connection.set(task)
        server_writer = None
        try:
            with contextlib.suppress(OSError, asyncio.CancelledError):
                server_reader, server_writer = await asyncio.open_connection(*self._server)
                await asyncio.gather(
                    self._up(reader, server_writer), self._down(server_reader, writer)
                )
        finally:
            self._tasks.discard(task)
            for each in (writer, server_writer):
                if each is not None:
                    each.close()

    async def _up(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            self.received += data
            await asyncio.sleep(self.round_trip / 2)
            if self.fault != "silent" and not self._is_forgotten():
                writer.write(data)
        writer.close()

    async def _down(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            await asyncio.sleep(self.round_trip / 2)
            if self.fault == "drip":
                for position in range(len(data)):
                    writer.write(data[position : position + 1])
                    await asyncio.sleep(self.drip_seconds)
            elif self.fault != "silent" and not self._is_forgotten():
                writer.write(data)
        writer.close()


class BlackHole:
    """A port whose connection requests (SYN) the kernel drops: its queue of connections is full."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=0)
        self.port = int(self._listener.getsockname()[1])
        self._fillers: list[socket.socket] = []

    def __enter__(self) -> BlackHole:
        while True:
            filler = socket.socket()
            filler.settimeout(0.3)
            self._fillers.append(filler)
            try:
                filler.connect(("127.0.0.1", self.port))
            except TimeoutError:
                return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for each in (*self._fillers, self._listener):
            each.close()


class Trap:
    """A server that nobody should ever talk to; ``touched`` says whether somebody did."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self.port = int(self._listener.getsockname()[1])

    @property
    def touched(self) -> bool:
        try:
            connection, _ = self._listener.accept()
        except BlockingIOError:
            return False
        connection.close()
        return True

    def __enter__(self) -> Trap:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._listener.close()
