"""What a spawner adds to a start after its pod is ready, and to a stop after the pod is gone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from bench.figures import Figure
from bench.observer import Observer

Make = Callable[[str], Any]
"""A spawner of somebody of this name."""


async def added(
    ours: Make, peer: Make, observer: Observer, rounds: int, at_once: int, where: str, goal: float
) -> list[Figure]:
    """Starts and stops of both, in turns.

    Args:
        rounds: how often each starts and stops ``at_once`` sessions.
        where: goes into the figures' names.
        goal: how many times smaller than the peer's ours is to be.
    """
    started: dict[str, list[float]] = {"ours": [], "peer": []}
    stopped: dict[str, list[float]] = {"ours": [], "peer": []}
    for number in range(rounds):
        for kind, make in (("ours", ours), ("peer", peer)):
            spawners = [make(f"{kind}{number}n{one}") for one in range(at_once)]
            results = await asyncio.gather(*(_life(spawner, observer) for spawner in spawners))
            started[kind] += [start for start, _ in results]
            stopped[kind] += [stop for _, stop in results]
    return [
        Figure(f"{what} ({where})", "ms", values["ours"], values["peer"], "KubeSpawner", goal)
        for what, values in (
            ("start, after Ready", started),
            ("stop, after gone", stopped),
        )
    ]


async def _life(spawner: Any, observer: Observer) -> tuple[float, float]:
    """Milliseconds added to one start, and to the stop after it."""
    name = spawner.pod_name
    observer.forget(name)
    await spawner.start()
    start = time.monotonic()
    await spawner.stop()
    stop = time.monotonic()
    await observer.heard_of_end(name)
    # On a cluster the observer may hear a moment later than the spawner, which has added nothing.
    return (
        1000 * max(0.0, start - observer.ready[name]),
        1000 * max(0.0, stop - observer.gone[name]),
    )
