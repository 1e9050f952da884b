"""Why a run ends early.

::

    EngineError
    ├── ListRefused      the engine cannot run this list; nothing was written
    ├── DataUnusable     the scan, or another file that the list names, cannot be used
    ├── StepFailed       a plugin could not do its work
    └── Interrupted      somebody asked for the run to end; no failure
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One reason why a list cannot be run."""

    position: str
    """Of the step; empty for the list itself."""
    plugin: str
    parameter: str
    """Empty for the step itself."""
    message: str
    """A sentence."""

    def __str__(self) -> str:
        where = f"{self.plugin} (step {self.position}): " if self.plugin else ""
        return f"{where}{self.message}"


class EngineError(Exception):
    """Base of all; never raised itself. ``str(error)`` is a sentence for the user."""


class ListRefused(EngineError):
    """The engine cannot run the list, and says all of the reasons at once."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(" ".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class DataUnusable(EngineError):
    """A file is absent, closed to the user, damaged, or not what the list says."""


class StepFailed(EngineError):
    """A plugin cannot do its work with these data or values."""


class Interrupted(EngineError):
    """The file ``killsignal`` appeared in the folder of the run."""
