"""Savu's ``run_log/user.log``, line by line, into how far a run is. Pure: no file is touched here.

Lines are ``2026-11-22 10:32:22,576 - MESSAGE``; a plugin announces itself, then its percentages::

    *Running the AstraReconCpu plugin*
    AstraReconCpu -  42% complete
    * Processing Complete *
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final, Literal

End = Literal["", "complete", "interrupted"]

_STAMP: Final = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} - ")
_BEGINS: Final = re.compile(r"^\*Running the (?P<plugin>.+) plugin\*$")
_PERCENT: Final = re.compile(r"^(?P<plugin>.+?) -\s+(?P<percent>\d{1,3})% complete$")
_COMPLETE: Final = re.compile(r"^\* Processing Complete( in [\d.]+ seconds)? \*$")
_INTERRUPTED: Final = re.compile(r"^\* Processing interrupted by killsignal \*$")


@dataclass(frozen=True, slots=True)
class UserLog:
    """What the lines read so far say."""

    begun: int = 0
    """Plugins that announced themselves; loaders never do."""
    plugin: str = ""
    """The one that runs, or ran last."""
    plugin_percent: float = 0.0
    end: End = ""

    @property
    def complete(self) -> bool:
        return self.end == "complete"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is: percentages from 0 to 100, ``step`` of ``steps`` plugins."""

    percent: float = 0.0
    plugin: str = ""
    plugin_percent: float = 0.0
    step: int = 0
    steps: int = 0


def message_of(line: str) -> str:
    """A line without its time; any other line as it is."""
    return _STAMP.sub("", line.strip())


def read_line(log: UserLog, line: str) -> UserLog:
    """``log`` and one line more; a line that says nothing about progress changes nothing."""
    message = _STAMP.sub("", line.rstrip())
    if match := _BEGINS.match(message):
        return UserLog(begun=log.begun + 1, plugin=match["plugin"])
    if match := _PERCENT.match(message):
        # Within a plugin Savu may count every transfer from 0 again.
        percent = max(log.plugin_percent, min(100.0, float(match["percent"])))
        return replace(log, plugin_percent=percent) if match["plugin"] == log.plugin else log
    if _COMPLETE.match(message):
        return replace(log, end="complete", plugin_percent=100.0)
    if _INTERRUPTED.match(message):
        return replace(log, end="interrupted")
    return log


def progress(log: UserLog, steps: int, before: Progress | None = None) -> Progress:
    """Progress through ``steps`` active plugins besides loaders; never less than ``before``.

    Plugins that Savu runs more often than the list says (iterations) or adds itself (a saver)
    never bring it above 100.
    """
    before = before or Progress(steps=steps)
    if log.complete:
        return Progress(100.0, log.plugin, 100.0, steps, steps)
    done = max(0, log.begun - 1) + log.plugin_percent / 100
    percent = min(100.0, 100 * done / steps) if steps else 0.0
    return Progress(
        percent=round(max(before.percent, percent), 1),
        plugin=log.plugin,
        plugin_percent=log.plugin_percent,
        step=min(log.begun, steps),
        steps=steps,
    )
