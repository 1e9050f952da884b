"""How a run ended, in a sentence a scientist can act on. Pure: facts in, verdict out."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from savu_api.jobs.user_log import UserLog, message_of


@dataclass(frozen=True, slots=True)
class Outcome:
    """A job's last state, its sentence, and whether an unfinished result was left."""

    state: Literal["completed", "failed", "cancelled"]
    message: str
    incomplete: bool


def judge(
    *,
    exit_code: int | None,
    log: UserLog,
    output: Sequence[str],
    cancelled: bool,
    memory_ran_out: bool,
    not_started: str = "",
) -> Outcome:
    """The outcome of a run.

    ``exit_code`` is the engine's, negative for a signal, None if unknown; ``output`` the last lines
    it wrote anywhere; ``cancelled`` says that the user asked; ``memory_ran_out`` that the kernel
    counted a kill meanwhile; ``not_started`` why the engine could not be started at all.

    Exit code 0 is not enough: Savu also ends with it when interrupted.
    """
    if not_started:
        return Outcome("failed", f"The engine could not be started: {not_started}", False)
    if exit_code == 0 and log.complete:
        return Outcome("completed", "", False)
    where = f" while {log.plugin} ran" if log.plugin else " before its first step"
    if cancelled or (exit_code == 0 and log.end == "interrupted"):
        return Outcome("cancelled", f"Cancelled{where}.", True)
    return Outcome("failed", _sentence(exit_code, log, output, memory_ran_out, where), True)


def last_error(lines: Sequence[str]) -> str:
    """The line that ends the last traceback in ``lines`` (``ValueError: …``); empty without one."""
    starts = [n for n, line in enumerate(lines) if "Traceback (most recent call last)" in line]
    if not starts:
        return ""
    for line in lines[starts[-1] + 1 :]:
        if line.strip() and not line[0].isspace():
            return line.strip()[:500]
    return ""


def _sentence(
    exit_code: int | None, log: UserLog, output: Sequence[str], memory_ran_out: bool, where: str
) -> str:
    error = last_error(output)
    number = _signal_number(exit_code)
    kind = error.partition(":")[0].rpartition(".")[2]
    # The kernel may have killed one of several processes, and the others only miss it.
    killed = number == signal.SIGKILL or not error or kind in _POOL_ERRORS
    if kind in _MEMORY_ERRORS or (memory_ran_out and killed):
        return f"The memory ran out{where}. A preview or a crop of the data needs less."
    if number == signal.SIGKILL:
        return (
            f"The engine was killed{where}, probably because the memory ran out. "
            "A preview or a crop of the data needs less."
        )
    if number is not None:
        return f"The engine crashed{where} ({_signal_name(number)})."
    if exit_code is None:
        return f"The engine was lost{where}: how it ended is not known."
    if exit_code == 0:
        return f"The engine ended{where} without saying that the processing is complete."
    subject = f"{log.plugin} failed" if log.plugin else "The engine failed before its first step"
    said = (message for line in reversed(output) if (message := message_of(line)))
    last = error or next(said, "")[:500]
    return f"{subject}: {last}" if last else f"{subject} with exit code {exit_code}."


_POOL_ERRORS = ("BrokenProcessPool", "TerminatedWorkerError")
_MEMORY_ERRORS = ("MemoryError", "_ArrayMemoryError")


def _signal_number(exit_code: int | None) -> int | None:
    """A shell or wrapper reports a signal as 128 and its number."""
    if exit_code is None:
        return None
    if exit_code < 0:
        return -exit_code
    return exit_code - 128 if 128 < exit_code <= 128 + signal.NSIG else None


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
