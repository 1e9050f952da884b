"""On a real cluster: with pods that do nothing but be ready, so that the spawner is measured."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

from kubernetes_asyncio.client import CoreV1Api

from bench.figures import Figure
from bench.latency import added
from bench.observer import observing
from bench.spawners import kube_spawner, session_spawner, stop_watching
from dev.cluster import Cluster, programs, write_image
from savu_spawner.contract import WEB_PORT
from tests.cluster.conftest import connected, make_namespace
from tests.cluster.pods import IMAGE
from tests.cluster.sessions import stand_ins
from tests.support.kubernetes import using

PEERS_TIMEOUT = 60
"""KubeSpawner's own default, for which it waits whatever has happened."""


async def measure(cluster: Cluster, rounds: int, faults: int) -> list[Figure]:
    """Latency added to starts and stops, and how long a missing image takes to be told."""
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "probe.tar"
        write_image(archive, IMAGE, {"probe": programs.PROBE}, ["/probe"])
        await asyncio.to_thread(cluster.load, archive)
    async with connected(cluster.kubeconfig) as kubernetes:
        core, namespace = CoreV1Api(kubernetes), f"bench-{uuid4().hex[:8]}"
        await make_namespace(kubernetes, namespace)
        try:
            with using(cluster.kubeconfig):
                async with observing(core, namespace) as observer:
                    figures = await added(
                        lambda name: session_spawner(
                            name, namespace, modify_pod_hook=stand_ins, **OURS
                        ),
                        lambda name: kube_spawner(name, namespace, **PEERS),
                        observer,
                        rounds,
                        at_once=1,
                        where="cluster",
                        goal=50,
                    )
                figures.append(await _fault(namespace, faults))
                await stop_watching()
        finally:
            await core.delete_namespace(namespace)
    return figures


def _container(name: str, port: int) -> dict[str, Any]:
    return {
        "name": name,
        "image": IMAGE,
        "imagePullPolicy": "Never",
        "args": ["serve", str(port)],
        "ports": [],
        "readinessProbe": {"httpGet": {"path": "/", "port": port}, "periodSeconds": 1},
    }


OURS = {"image_pull_policy": "Never", "cpu_guarantee": 0.01, "mem_guarantee": "16M"}
PEERS: dict[str, Any] = {
    "image": IMAGE,
    "image_pull_policy": "Never",
    "cmd": None,
    "args": ["serve", str(WEB_PORT)],
    "port": WEB_PORT,
    "extra_container_config": {
        "readinessProbe": {"httpGet": {"path": "/", "port": WEB_PORT}, "periodSeconds": 1}
    },
    "extra_containers": [_container(f"side{n}", WEB_PORT + n) for n in (1, 2, 3)],
    "start_timeout": PEERS_TIMEOUT,
}


async def _fault(namespace: str, rounds: int) -> Figure:
    """From the creation of a pod whose image is not there to the answer of the start."""
    seconds: dict[str, list[float]] = {"ours": [], "peer": []}
    for number in range(rounds):
        for kind, spawner in (
            (
                "ours",
                session_spawner(
                    f"faulty{number}", namespace, gate_image="localhost/not-here:1", **OURS
                ),
            ),
            (
                "peer",
                kube_spawner(
                    f"faulty{number}p", namespace, **{**PEERS, "image": "localhost/not-here:1"}
                ),
            ),
        ):
            begun = time.monotonic()
            try:
                await spawner.start()
            except Exception:
                seconds[kind].append(time.monotonic() - begun)
            await spawner.stop(now=True)
    return Figure("missing image, until told", "s", seconds["ours"], seconds["peer"], "KubeSpawner")
