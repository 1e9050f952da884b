"""The program above one job: it starts the engine and sees that none of its processes outlives it.

It adopts whatever the engine detaches (``PR_SET_CHILD_SUBREAPER``), so that a process that left
the group and the session is still found and ended. Run by :mod:`local` as a script, with nothing
but the standard library. It speaks lines of JSON with its parent:

- in, first: ``{"argv", "environment", "folder", "output"}``; then ``{"stop": SECONDS}`` to ask the
  processes to end and to kill after so long. The end of the input (the parent died) means stop;
- out: ``{"started": pid}`` or ``{"not_started": reason}``, then ``{"ended": exit code}``.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import time
from typing import Any

# Last, because this folder has a `queue` of its own.
sys.path.append(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120

from processes import descendants, send

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
UMASK = 0o002
"""What a job writes, the visit's other members can open and replace."""

GRACE = 2.0
"""Seconds between asking and killing where nobody said otherwise."""

GIVE_UP = 15.0
"""Seconds after the first kill: a process that waits for a dead file server cannot be ended."""

_libc = ctypes.CDLL(None, use_errno=True)


class Supervisor:
    """One engine and everything below it."""

    def __init__(self) -> None:
        self.engine = 0
        self.exit_code: int | None = None
        self.kill_at: float | None = None
        self._input = b""

    def run(self) -> None:
        _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        wakeup = _signals_as_bytes()
        request = self._first_line()
        if request is None:
            return
        try:
            self.engine = _start(request)
        except OSError as error:
            _say({"not_started": error.strerror or str(error)})
            return
        _say({"started": self.engine})
        self._watch(wakeup)
        _say({"ended": self.exit_code})

    def _watch(self, wakeup: int) -> None:
        """Until the engine ended and nothing is left below this process."""
        inputs = [0, wakeup]
        while True:
            self._reap()
            if self.exit_code is not None and self.kill_at is None:
                self.stop(0.5)
            if self.kill_at is not None:
                left = descendants(os.getpid())
                if not left and self.exit_code is not None:
                    # Else they would stay zombies where nobody else collects: api may be process 1.
                    self._reap()
                    return
                if time.monotonic() >= self.kill_at:
                    send(left, signal.SIGKILL)
                    if time.monotonic() >= self.kill_at + GIVE_UP:
                        return
            pause = 0.05 if self.kill_at is not None else None
            ready, _, _ = select.select(inputs, [], [], pause)
            if wakeup in ready and set(os.read(wakeup, 512)) & {signal.SIGTERM, signal.SIGINT}:
                self.stop(GRACE)
            if 0 in ready and not self._read_commands():
                inputs.remove(0)
                self.stop(GRACE)

    def stop(self, seconds: float) -> None:
        """Ask every process to end; after ``seconds`` they are killed. Never later than before."""
        kill_at = time.monotonic() + seconds
        if self.kill_at is None:
            send(descendants(os.getpid()), signal.SIGTERM)
            # A stopped process only hears SIGTERM once it goes on.
            send(descendants(os.getpid()), signal.SIGCONT)
        self.kill_at = kill_at if self.kill_at is None else min(self.kill_at, kill_at)

    def _reap(self) -> None:
        """Collect the dead, adopted ones included."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self.engine:
                self.exit_code = os.waitstatus_to_exitcode(status)

    def _first_line(self) -> dict[str, Any] | None:
        while b"\n" not in self._input:
            block = os.read(0, 65536)
            if not block:
                return None
            self._input += block
        line, _, self._input = self._input.partition(b"\n")
        request: dict[str, Any] = json.loads(line)
        return request

    def _read_commands(self) -> bool:
        """Obey whole lines; False at the end of the input."""
        block = os.read(0, 65536)
        self._input += block
        *lines, self._input = self._input.split(b"\n")
        for line in lines:
            if line.strip():
                self.stop(float(json.loads(line)["stop"]))
        return bool(block)


def _signals_as_bytes() -> int:
    """A descriptor that turns readable when a child ends or this process is asked to."""
    readable, writable = os.pipe()
    os.set_blocking(writable, False)
    signal.set_wakeup_fd(writable)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    return readable


def _start(request: dict[str, Any]) -> int:
    """The engine's pid. Raises OSError if there is no such program or folder."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(request["output"], flags, 0o666 & ~UMASK), "wb", 0) as output:
        process = subprocess.Popen(
            request["argv"],
            env=request["environment"],
            cwd=request["folder"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            umask=UMASK,
            # Safe: this program has one thread.
            preexec_fn=_become_the_engine,
        )
    process.returncode = 0  # collected in _reap, not by subprocess
    return process.pid


def _become_the_engine() -> None:
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    # When the memory runs out the kernel is to take the job, not the session.
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:  # noqa: PTH123
        file.write("1000")


def _say(message: dict[str, Any]) -> None:
    with contextlib.suppress(BrokenPipeError):
        os.write(1, json.dumps(message).encode() + b"\n")


if __name__ == "__main__":
    Supervisor().run()
