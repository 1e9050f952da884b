"""HDF5 files are looked into by processes apart.

One wrong byte in a file can send the HDF5 library into a loop without end, its global lock held, or
crash it. Apart from the API that costs the look into this one file, and nobody's session.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

CPU_SECONDS: Final = 2.0
"""For one look: a sound list takes milliseconds of it."""

PATIENCE: Final = 20.0
"""Seconds of waiting for one look, storage included; less than a request is given."""

MEMORY_BYTES: Final = 512 * 1024 * 1024
"""A look may use so much beyond what the libraries need."""

AT_ONCE: Final = 2
"""Processes: each holds some 60 MB, and is kept, since to start one takes half a second."""


class LookFailed(Exception):
    """The process was lost over this look: the file is damaged, or its storage hangs."""


def apart(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The function's result or exception; it is one of a module, as both are sent. Blocks.

    Raises LookFailed if it crashed, or came to no end.
    """
    with _places:
        looker = _take()
        try:
            succeeded, answer = looker.ask((function, args, kwargs))
        except BaseException:
            looker.end()
            raise
        _give_back(looker)
    if succeeded:
        result: T = answer
        return result
    raise answer


def get_ready() -> None:
    """Have a process wait for the next look. Blocks."""
    if not _waiting:
        with contextlib.suppress(LookFailed, OSError):
            apart(int)


class _Looker:
    """One process."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "savu_api.apart", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env=_environment(),
                stdin=subprocess.DEVNULL,
                cwd="/",
            )
        self._connection = Connection(ours.detach())

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, question: object) -> tuple[bool, Any]:
        """Raises LookFailed."""
        try:
            self._connection.send(question)
            if not self._connection.poll(PATIENCE):
                raise LookFailed(f"no answer within {PATIENCE:.0f} s")
            answer: tuple[bool, Any] = self._connection.recv()
        except (EOFError, OSError) as error:
            raise LookFailed("the process ended") from error
        return answer

    def end(self) -> None:
        self._connection.close()
        self._process.kill()
        # One that waits for a dead file server is left behind.
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1)


_places = threading.BoundedSemaphore(AT_ONCE)
_waiting: list[_Looker] = []
_lock = threading.Lock()


def _take() -> _Looker:
    while True:
        with _lock:
            if not _waiting:
                break
            looker = _waiting.pop()
        if looker.alive:
            return looker
        looker.end()
    return _Looker()


def _give_back(looker: _Looker) -> None:
    with _lock:
        _waiting.append(looker)


def _environment() -> dict[str, str]:
    """Nothing of the user's sends HDF5 elsewhere or loads code into it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HDF5_")}
    # "::" switches the loading of filters off; one thread, as nothing is computed.
    return {**kept, "HDF5_PLUGIN_PRELOAD": "::", "OPENBLAS_NUM_THREADS": "1"}


# -- In the process apart -------------------------------------------------------------------------


def main(descriptor: int) -> None:
    """Answer until the other end closes."""
    connection = Connection(descriptor)
    # Its own end is another process's to decide: the terminal's Ctrl-C reaches the whole group.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    import h5py  # noqa: F401 - its memory is not to count as that of a look

    _bound_memory()
    while True:
        try:
            function, args, kwargs = connection.recv()
        except EOFError:
            return
        # At its end the process is ended, whatever it is in: SIGPROF is not handled.
        signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
        try:
            answer = (True, function(*args, **kwargs))
        except Exception as error:
            answer = (False, error)
        signal.setitimer(signal.ITIMER_PROF, 0)
        _send(connection, answer)


def _send(connection: Connection, answer: tuple[bool, Any]) -> None:
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        try:
            connection.send(answer)
        except (AttributeError, TypeError, ValueError):
            connection.send((False, RuntimeError(repr(answer[1])[:500])))


def _bound_memory() -> None:
    data_pages = int(Path("/proc/self/statm").read_text().split()[5])
    most = data_pages * resource.getpagesize() + MEMORY_BYTES
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (most, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    main(int(sys.argv[1]))
