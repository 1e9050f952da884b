"""All cores: one process each, given one sinogram after another."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Final

from savu_builtin.errors import StepFailed

THREAD_VARIABLES: Final = (
    "NUMBA_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
)


def limit_threads() -> None:
    """One thread in each process; only works before NumPy and numba are imported."""
    for variable in THREAD_VARIABLES:
        os.environ[variable] = "1"


def available_cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0))


class Workers:
    """Applies functions of ``savu_builtin.kernels`` to many arrays at once.

    ``with Workers(cores) as workers:``. One core: no further process.

    Each process has a pipe of its own. In the standard library's pools they share one, and a
    process that is killed while it reads or writes leaves the others, and the caller, waiting for
    ever: https://github.com/python/cpython/issues/94777.
    """

    def __init__(self, cores: int) -> None:
        self.cores = cores
        self._workers: list[_Worker] = []

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    def map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        """Results in the order of ``items``, of which only one a process is taken ahead.

        Raises what ``function`` raises, and StepFailed if a process was killed.
        """
        if self.cores == 1:
            yield from map(function, items)
            return
        free = deque(self._started())
        ahead: deque[_Worker] = deque()
        try:
            for item in items:
                if not free:
                    # Its result is read before it gets more: both ends never write at once.
                    free.append(ahead.popleft())
                    result = free[-1].result()
                    free[-1].give(function, item)
                    ahead.append(free.pop())
                    yield result
                else:
                    free[0].give(function, item)
                    ahead.append(free.popleft())
            while ahead:
                yield ahead.popleft().result()
        finally:
            if ahead:
                # Left before the end: what they still have to say belongs to nobody.
                self._end()

    def _started(self) -> list[_Worker]:
        """The processes, forked when there is first something for them to do.

        Forked, so that they need not import the libraries again: numba, HDF5 and BLAS have started
        no thread in this process by then, and never will.
        """
        # One more than cores: there is always one that waits for its next array.
        for _ in range(self.cores + 1 - len(self._workers)):
            self._workers.append(_Worker([worker.connection for worker in self._workers]))
        return self._workers

    def _end(self) -> None:
        for worker in self._workers:
            worker.end()
        self._workers = []


class _Worker:
    """One process: gets a function and an argument, gives the result, and so on."""

    def __init__(self, others: list[Connection]) -> None:
        context = multiprocessing.get_context("fork")
        self.connection, theirs = context.Pipe()
        # Only this process keeps the other end: its death is then the end of the pipe.
        self._process = context.Process(
            target=_work, args=(theirs, [self.connection, *others], os.getpid()), daemon=True
        )
        self._process.start()
        theirs.close()

    def give(self, function: Callable[[Any], Any], item: Any) -> None:
        """Raises StepFailed if the process was killed."""
        with _killed_from_outside():
            self.connection.send((function, item))

    def result(self) -> Any:
        """Raises what the function raised, and StepFailed if the process was killed."""
        with _killed_from_outside():
            value, error = self.connection.recv()
        if error is not None:
            raise error
        return value

    def end(self) -> None:
        self.connection.close()
        self._process.kill()
        self._process.join()


@contextmanager
def _killed_from_outside() -> Iterator[None]:
    try:
        yield
    except (EOFError, OSError) as error:
        raise StepFailed(
            "One of the engine's processes was ended from outside, most likely because the "
            "memory ran out."
        ) from error


def _work(connection: Connection, others: list[Connection], main_process: int) -> None:
    _begin_worker(main_process)
    for other in others:
        other.close()
    while True:
        try:
            function, item = connection.recv()
        except EOFError:
            return
        try:
            answer = (function(item), None)
        except Exception as error:
            answer = (None, error)
        connection.send(answer)


def _begin_worker(main_process: int) -> None:
    """Leave Ctrl-C to the main process, and never outlive it, however it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
    if os.getppid() != main_process:
        os._exit(1)
