"""One line of ``check``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """One line of ``check``."""

    verdict: Literal["ok", "note", "FAIL"]
    what: str
    mend: str = ""

    def __str__(self) -> str:
        return f"{self.verdict:<5} {self.what}" + (f"\n      → {self.mend}" if self.mend else "")


def need(there: bool, what: str, mend: str) -> Finding:
    """``what`` is ``there``, or has to be mended."""
    return Finding("ok", what) if there else Finding("FAIL", what, mend)
