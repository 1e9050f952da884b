"""Measured values, what they come to, and how they are shown."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

VERSIONED = ("savu-spawner", "jupyterhub", "jupyterhub-kubespawner", "kubernetes_asyncio")


@dataclass(frozen=True)
class Figure:
    """One quantity of ours and of a peer, measured in turns."""

    what: str
    unit: str
    ours: Sequence[float]
    peer: Sequence[float]
    peer_name: str
    goal: float | None = None
    """How many times smaller than the peer's mean ours is to be."""

    @property
    def ratio(self) -> float:
        """The peer's mean by ours: above 1, ours is the smaller."""
        return statistics.fmean(self.peer) / statistics.fmean(self.ours)

    def to_json(self) -> dict[str, Any]:
        return {
            "what": self.what,
            "unit": self.unit,
            "peer": self.peer_name,
            "ratio of means": self.ratio,
            "goal": self.goal,
            "ours": summary(self.ours),
            self.peer_name: summary(self.peer),
        }


def summary(values: Sequence[float]) -> dict[str, Any]:
    """Median, mean, 99th percentile and extremes."""
    ordered = sorted(values)
    return {
        "count": len(ordered),
        "min": ordered[0],
        "p50": statistics.median(ordered),
        "mean": statistics.fmean(ordered),
        "p99": ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))],
        "max": ordered[-1],
    }


def table(figures: Sequence[Figure]) -> str:
    """For a terminal, a line each."""
    lines = [
        f"{'':<34} {'':>5}  {'p50':>9} {'mean':>9} {'p99':>9}  |"
        f" {'p50':>9} {'mean':>9} {'p99':>9}  {'ratio':>8} {'goal':>6}"
    ]
    for figure in figures:
        ours, peer = summary(figure.ours), summary(figure.peer)
        cells = [f"{values[name]:>9.2f}" for values in (ours, peer) for name in SHOWN]
        goal = f"{figure.goal:>5.0f}×" if figure.goal else f"{'':>6}"
        lines.append(
            f"{figure.what:<34} {figure.unit:>5}  {' '.join(cells[:3])}  |"
            f" {' '.join(cells[3:])}  {figure.ratio:>7.1f}× {goal}"
        )
    peers = ", ".join(sorted({figure.peer_name for figure in figures}))
    return "\n".join([f"ours | {peers}", *lines])


SHOWN = ("p50", "mean", "p99")


def write(file: Path, figures: Sequence[Figure], values: Mapping[str, Any]) -> None:
    """Everything measured, with the machine and the versions that it was measured on."""
    content = {
        "machine": {
            "system": platform.platform(),
            "python": platform.python_version(),
            "cores": os.cpu_count(),
        },
        "versions": {name: version(name) for name in VERSIONED},
        "figures": [figure.to_json() for figure in figures],
        "values": values,
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content, indent=2) + "\n")
