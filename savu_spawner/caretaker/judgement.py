"""What should be removed, and why; pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

Session = tuple[str, str]
"""User and server name, as JupyterHub keeps them."""

State = Literal["running", "over", "spared"]

UNKNOWN = "no server of this hub owns it"


class CannotSay(Exception):
    """Whoever holds the sessions did not answer, or refused; why, in words."""


@dataclass(frozen=True)
class Found:
    """One session's processes or pod, as they were at one look."""

    key: str
    """Of this session and of no later one of the same server."""
    session: Session | None
    """None: what is there does not say."""
    age: float
    """Seconds since it was made."""
    state: State = "running"
    """``running``: the hub must know it. ``over``: goes, whatever the hub says. ``spared``: goes by
    itself, or is kept on purpose."""
    why: str = ""
    """Of a session that is over: what is to be said."""


@dataclass(frozen=True)
class Finding:
    """One thing that should go, and why."""

    found: Found
    why: str

    @property
    def is_unknown(self) -> bool:
        """Whether it goes only because the hub does not know it."""
        return self.found.state == "running"


def judge(
    found: Sequence[Found],
    known: Collection[Session] | None,
    unknown_before: Collection[str],
    grace: float,
) -> list[Finding]:
    """What to remove of ``found``.

    What is over goes. What runs, and the hub does not know at two looks in a row, goes too. What is
    younger than ``grace`` seconds may still be starting. With ``known`` None the hub gave no
    answer, and nothing that runs is touched.
    """
    findings = []
    for item in found:
        if item.age < grace or item.state == "spared":
            continue
        if item.state == "over":
            findings.append(Finding(item, item.why))
        elif item.key in unknown(found, known) and item.key in unknown_before:
            findings.append(Finding(item, UNKNOWN))
    return findings


def unknown(found: Sequence[Found], known: Collection[Session] | None) -> frozenset[str]:
    """Keys of what runs and no server owns; to be given to the next :func:`judge`."""
    if known is None:
        return frozenset()
    return frozenset(
        item.key for item in found if item.state == "running" and item.session not in known
    )


def is_too_much(findings: Sequence[Finding], found: Sequence[Found]) -> bool:
    """Whether most of the running sessions would go: then the hub's answer is not believed.

    A database that was reset or rolled back looks just like that. Two leftovers are too few to
    tell it from a crash.
    """
    running = sum(item.state == "running" for item in found)
    going = sum(finding.is_unknown for finding in findings)
    return going >= 3 and going * 2 > running
