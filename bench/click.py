"""From the click on *Start* to the first byte of the page, with a whole hub and its proxy."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from uuid import uuid4

import requests
from kubernetes_asyncio.client import CoreV1Api

from bench.figures import Figure
from dev.cluster import Cluster
from tests.cluster.conftest import connected, make_namespace
from tests.support.cluster_hub import FAKE_PORTS, ClusterHub, load_fake_images

USER = "ada"
PATIENCE = 120

PEER = """
c.JupyterHub.spawner_class = "kubespawner.KubeSpawner"
c.JupyterHub.services = [s for s in c.JupyterHub.services if s["name"] == "tests"]
c.JupyterHub.load_roles = [r for r in c.JupyterHub.load_roles if r["name"] == "tests"]
c.KubeSpawner.image = {images[web]!r}
c.KubeSpawner.image_pull_policy = "IfNotPresent"
c.KubeSpawner.cmd = None
c.KubeSpawner.args = []
c.KubeSpawner.port = {ports[web]}
c.KubeSpawner.extra_container_config = {{"readinessProbe": {{
    "httpGet": {{"path": "/", "port": {ports[web]}}}, "periodSeconds": 1}}}}
c.KubeSpawner.extra_containers = [
    {{"name": name, "image": image, "imagePullPolicy": "IfNotPresent", "ports": [],
      "readinessProbe": {{"httpGet": {{"path": "/", "port": int(port)}}, "periodSeconds": 1}}}}
    for name, image, port in {sides!r}
]
"""
"""The same four containers, each with the same probe, as KubeSpawner has them."""


async def measure(cluster: Cluster, rounds: int) -> Figure:
    """Both hubs stand side by side and are clicked in turns."""
    with tempfile.TemporaryDirectory() as folder:
        images = await asyncio.to_thread(load_fake_images, cluster, Path(folder))
    async with _namespaces(cluster) as (ours, peer):
        return await asyncio.to_thread(_measure, cluster, images, ours, peer, rounds)


def _measure(
    cluster: Cluster, images: Mapping[str, str], ours: str, peer: str, rounds: int
) -> Figure:
    sides = [(n, images[n], FAKE_PORTS[n]) for n in ("gate", "api", "dataserver")]
    settings = PEER.format(images=images, ports=FAKE_PORTS, sides=sides)
    seconds: dict[str, list[float]] = {"ours": [], "peer": []}
    with ExitStack() as stack:
        hubs = {}
        for kind, namespace, text in (("ours", ours, ""), ("peer", peer, settings)):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="savu-bench-")))
            folder.chmod(0o711)
            address = str(cluster.addresses.host)
            hub = ClusterHub(folder, cluster.kubeconfig, namespace, address, images, settings=text)
            hubs[kind] = stack.enter_context(hub)
            hub.api("POST", f"users/{USER}").raise_for_status()
        for _ in range(rounds):
            for kind, hub in hubs.items():
                seconds[kind].append(_click(hub))
                _stop(hub)
    return Figure(
        "click to first byte (cluster)", "s", seconds["ours"], seconds["peer"], "KubeSpawner"
    )


def _click(hub: ClusterHub) -> float:
    """Seconds until the proxy passes on the first answer of the session itself."""
    begun = time.monotonic()
    hub.api("POST", f"users/{USER}/server").raise_for_status()
    page = f"{hub.url}user/{USER}/"
    while requests.get(page, allow_redirects=False, timeout=PATIENCE).status_code != 200:
        if time.monotonic() - begun > PATIENCE:
            raise TimeoutError(f"no page within {PATIENCE} s:\n{hub.log[-2000:]}")
        time.sleep(0.01)
    return time.monotonic() - begun


def _stop(hub: ClusterHub) -> None:
    hub.api("DELETE", f"users/{USER}/server").raise_for_status()
    while hub.server(USER):
        time.sleep(0.05)


@asynccontextmanager
async def _namespaces(cluster: Cluster) -> AsyncIterator[tuple[str, str]]:
    async with connected(cluster.kubeconfig) as kubernetes:
        names = (f"bench-{uuid4().hex[:8]}", f"bench-{uuid4().hex[:8]}")
        for name in names:
            await make_namespace(kubernetes, name)
        try:
            yield names
        finally:
            for name in names:
                await CoreV1Api(kubernetes).delete_namespace(name)
