"""Waiting for what the cluster's programs bring about."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

from dev.cluster.errors import ClusterError
from dev.cluster.spaces import Space

READY_SECONDS = 180
"""Longer than any start takes, even on a busy machine: what is not ready then never will be."""

LINES = 15
"""Of a log's end that are told."""


def wait_for(
    condition: Callable[[], bool], space: Space, needed: tuple[str, ...], otherwise: str
) -> None:
    """Wait until something is so; a needed program that ended is not waited for.

    Args:
        needed: programs of the space that bring it about, the nearest first.
        otherwise: what is so if it is not.

    Raises:
        ClusterError: with the end of the log of what ended, or else of the nearest.
    """
    deadline = time.monotonic() + READY_SECONDS
    while not _holds(condition):
        ended = space.programs()["ended"]
        for program in needed:
            if program in ended:
                reason = f"{program} of {space.name} ended with exit code {ended[program]}"
                raise ClusterError(f"{reason}.\n{_log_end(space, program)}")
        if time.monotonic() > deadline:
            reason = f"{otherwise} after {READY_SECONDS} s"
            raise ClusterError(f"{reason}.\n{_log_end(space, needed[0])}")
        time.sleep(0.1)


def _holds(condition: Callable[[], bool]) -> bool:
    """A question that is not answered yet is asked again."""
    with contextlib.suppress(ClusterError):
        return condition()
    return False


def _log_end(space: Space, program: str) -> str:
    log = space.layout.log(space.name, program)
    lines = log.read_text(errors="replace").splitlines()[-LINES:] if log.exists() else []
    return "\n".join([f"The end of {log}:", *lines])
