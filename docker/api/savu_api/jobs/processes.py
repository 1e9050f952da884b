"""Processes of jobs, found in ``/proc`` alone: by ancestor while they run, by mark afterwards.

Standard library only: :mod:`supervise` runs this without the rest of the package.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Collection

MARK = "SAVU_JOB"
"""Environment variable that every process of a job inherits: the job's id."""


def descendants(ancestor: int) -> list[int]:
    """Living processes below ``ancestor``, children first. Zombies do not count."""
    children: dict[int, list[int]] = {}
    dead = set()
    for pid in _pids():
        try:
            with open(f"/proc/{pid}/stat", "rb") as stream:  # noqa: PTH123 - pathlib is slow to load
                # The name in parentheses may hold anything, spaces and parentheses included.
                state, parent = stream.read().rpartition(b")")[2].split()[:2]
        except OSError:
            continue
        children.setdefault(int(parent), []).append(pid)
        if state in b"ZX":
            dead.add(pid)
    found = []
    pending = list(children.get(ancestor, ()))
    while pending:
        pid = pending.pop(0)
        found.append(pid)
        pending += children.get(pid, ())
    return [pid for pid in found if pid not in dead]


def marked(job_ids: Collection[str]) -> list[int]:
    """Living processes of this user that carry the mark of one of these jobs."""
    marks = {f"{MARK}={job_id}".encode() for job_id in job_ids}
    found = []
    for pid in _pids():
        try:
            with open(f"/proc/{pid}/environ", "rb") as stream:  # noqa: PTH123
                if marks.intersection(stream.read().split(b"\0")):
                    found.append(pid)
        except OSError:
            continue
    return found


def end_marked(job_ids: Collection[str], seconds: float = 5.0) -> list[int]:
    """Kill what earlier sessions left of these jobs, and wait until it is gone.

    Returns what could not be ended in time (a process that waits for a dead file server).
    """
    deadline = time.monotonic() + seconds
    while left := (marked(job_ids) if job_ids else []):
        send(left, signal.SIGKILL)
        if time.monotonic() > deadline:
            break
        time.sleep(0.05)
    return left


def send(pids: Collection[int], number: signal.Signals) -> None:
    """Send a signal to each; those already gone are no error."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208
