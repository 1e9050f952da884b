"""Against an API server that only replays pods' lives: the spawner's own share, nothing else."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from bench.figures import Figure
from bench.latency import added
from bench.observer import observing
from bench.server import READY_AFTER
from bench.spawners import kube_spawner, session_spawner, stop_watching
from tests.support.kubernetes import kubeconfig


@asynccontextmanager
async def replaying(pods: int) -> AsyncIterator[None]:
    """An API server in a process of its own, with so many pods of running sessions."""
    server = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bench.server",
        str(pods),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert server.stdin is not None
    assert server.stdout is not None
    try:
        url = (await server.stdout.readline()).decode().strip()
        with tempfile.TemporaryDirectory() as folder, kubeconfig(Path(folder), url):
            yield
            await stop_watching()
    finally:
        server.stdin.close()
        await server.wait()


async def latency(rounds: int) -> list[Figure]:
    """Pods ready after one to three seconds, as a kubelet's are."""

    def settings() -> dict[str, Any]:
        return {"extra_annotations": {READY_AFTER: f"{random.uniform(1, 3):.3f}"}}

    async with (
        replaying(0),
        observing(session_spawner("nobody", **settings()).api, "default") as observer,
    ):
        return await added(
            lambda name: session_spawner(name, **settings()),
            lambda name: kube_spawner(name, events_enabled=False, **settings()),
            observer,
            rounds,
            at_once=4,
            where="replayed",
            goal=300,
        )


async def hub_loop(pods: int, seconds: float) -> Figure:
    """The longest standstill of an event loop with so many running sessions, in milliseconds."""
    async with replaying(pods):
        blocks: dict[str, float] = {}
        for kind, spawner in (
            ("ours", session_spawner("watcher")),
            ("peer", kube_spawner("watcher", events_enabled=False)),
        ):
            measuring = asyncio.create_task(_longest_block(seconds))
            await asyncio.sleep(0)
            await spawner._start_watching_pods()
            blocks[kind] = await measuring
            await stop_watching()
    return Figure(
        f"longest block of the hub's loop, {pods} pods",
        "ms",
        [blocks["ours"]],
        [blocks["peer"]],
        "KubeSpawner",
    )


async def _longest_block(seconds: float) -> float:
    """Milliseconds that a task that wants to run each millisecond had to wait at most."""
    longest, before = 0.0, time.perf_counter()
    end = before + seconds
    while before < end:
        await asyncio.sleep(0.001)
        now = time.perf_counter()
        longest, before = max(longest, now - before - 0.001), now
    return 1000 * longest
