"""What runs jobs: submit, poll, cancel. The queue knows no more: a batch cluster could be one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Run:
    """What is to be run: an engine's command line in ``folder``, output to the file ``output``."""

    job_id: str
    argv: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    output: Path
    killsignal: Path


@dataclass(frozen=True, slots=True)
class Ended:
    """A run is over, and none of its processes is left.

    ``exit_code`` is negative for a signal and None if nobody knows; ``not_started`` says why the
    command could not be started at all.
    """

    exit_code: int | None
    memory_ran_out: bool = False
    not_started: str = ""


class Runner(Protocol):
    """Runs commands somewhere else than in this process."""

    async def submit(self, run: Run) -> None:
        """Start it. What goes wrong is told by :meth:`poll`."""

    async def poll(self, job_id: str, wait: float) -> Ended | None:
        """How it ended; None if it still runs ``wait`` seconds from now."""

    async def cancel(self, job_id: str, *, patience: float) -> None:
        """End it: politely, ``patience`` seconds later for certain. Returns before it is over."""

    def clear(self, job_ids: Sequence[str]) -> None:
        """End whatever an earlier session left of these jobs. Blocks for at most a few seconds."""
