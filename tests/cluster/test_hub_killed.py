"""A hub that is killed at any moment leaves nothing behind, and takes nobody's session with it.

``FULL=1`` kills it 50 times instead of 5; ``SEED=…`` repeats the moments of an earlier run.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from kubernetes_asyncio import client

from dev.cluster import Cluster
from tests.support.cluster_hub import PATIENCE, ClusterHub, load_fake_images
from tests.support.needs import needs_program

KILLS = 50 if os.environ.get("FULL") else 5
SEED = int(os.environ.get("SEED") or random.SystemRandom().randrange(10**6))


@pytest.fixture(scope="module")
def images(driver: Cluster, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return load_fake_images(driver, tmp_path_factory.mktemp("images"))


@pytest.fixture
async def hub(driver: Cluster, namespace: str, images: dict[str, str]) -> AsyncIterator[ClusterHub]:
    needs_program("slapd")
    with tempfile.TemporaryDirectory(prefix="savu-hub-") as folder:
        Path(folder).chmod(0o711)
        hub = ClusterHub(
            Path(folder), driver.kubeconfig, namespace, str(driver.addresses.host), images
        )
        await asyncio.to_thread(hub.start)
        try:
            yield hub
        finally:
            await asyncio.to_thread(hub.stop)
            print(hub.log[-20_000:])
            if logs := os.environ.get("SAVU_TEST_LOGS"):
                shutil.copy(hub.log_file, Path(logs) / "hub-killed.log")


@dataclass(frozen=True)
class Sessions:
    """What hub and cluster say of the sessions of a namespace."""

    hub: ClusterHub
    core: client.CoreV1Api
    namespace: str

    async def pods(self, user: str) -> list[Any]:
        listed = await self.core.list_namespaced_pod(self.namespace)
        return [
            pod
            for pod in listed.items
            if (pod.metadata.annotations or {}).get("hub.jupyter.org/username") == user
        ]

    async def uid(self, user: str) -> str:
        [pod] = await self.pods(user)
        return str(pod.metadata.uid)

    async def start(self, user: str) -> None:
        """Ask for a session; it is under way when this returns."""
        answer = await asyncio.to_thread(self.hub.api, "POST", f"users/{user}/server")
        assert answer.status_code in (201, 202), answer.text

    async def stop(self, user: str) -> None:
        """Ask for the end of a session; it is under way when this returns."""
        answer = await asyncio.to_thread(self.hub.api, "DELETE", f"users/{user}/server")
        assert answer.status_code in (202, 204), answer.text

    async def changed(self, user: str, before: set[tuple[str, bool]]) -> None:
        """Wait until a pod was made, or is being deleted."""
        async with asyncio.timeout(PATIENCE):
            while await self.marks(user) == before:
                await asyncio.sleep(0.02)

    async def marks(self, user: str) -> set[tuple[str, bool]]:
        """Uids of a user's pods, and whether each is there to stay."""
        return {
            (pod.metadata.uid, pod.metadata.deletion_timestamp is None)
            for pod in await self.pods(user)
        }

    async def settled(self, user: str) -> str:
        """Wait until hub and cluster agree: ``running`` or ``gone``.

        Raises:
            TimeoutError: they never do.
        """
        seen: Any = None
        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    server = await asyncio.to_thread(self.hub.server, user)
                    pods = await self.pods(user)
                    seen = (server, [(pod.metadata.name, pod.status.phase) for pod in pods])
                    if server is None and not pods:
                        return "gone"
                    running = server and server["ready"] and not server["pending"]
                    stays = [pod.metadata.deletion_timestamp is None for pod in pods]
                    if running and stays == [True]:
                        return "running"
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise TimeoutError(f"hub and cluster never agreed about {user}: {seen}") from None

    def answers(self, user: str) -> bool:
        """Whether the proxy leads to this user's session."""
        url = f"{self.hub.url}user/{user}/"
        answer = requests.get(url, timeout=PATIENCE, allow_redirects=False)
        # What the fake images' program answers to everything.
        return answer.ok and "uid" in answer.json()


@pytest.fixture
def sessions(hub: ClusterHub, kubernetes: client.ApiClient, namespace: str) -> Sessions:
    for user in ("ada", "grace"):
        hub.api("POST", f"users/{user}").raise_for_status()
    return Sessions(hub, client.CoreV1Api(kubernetes), namespace)


async def test_a_session_starts_is_reached_and_stops(sessions: Sessions) -> None:
    await sessions.start("ada")
    assert await sessions.settled("ada") == "running"
    assert await asyncio.to_thread(sessions.answers, "ada")
    await sessions.stop("ada")
    assert await sessions.settled("ada") == "gone"
    start, end = sessions.hub.audited()
    assert (start["event"], end["event"]) == ("started", "ended")
    assert start["uid"] == end["uid"] == 21001
    assert start["images"].keys() == {"web", "gate", "api", "dataserver"}
    assert all("sha256:" in image for image in start["images"].values())


@pytest.mark.timeout(0 if os.environ.get("FULL") else 1500)
async def test_a_hub_killed_at_any_moment_adopts_or_removes_each_pod(sessions: Sessions) -> None:
    moments = random.Random(SEED)
    print(f"SEED={SEED}")
    await sessions.start("grace")
    assert await sessions.settled("grace") == "running"
    bystander = await sessions.uid("grace")
    begun = time.monotonic()
    await sessions.start("ada")
    state = await sessions.settled("ada")
    took = time.monotonic() - begun
    for number in range(KILLS):
        before = await sessions.marks("ada")
        act = sessions.stop if state == "running" else sessions.start
        since = moments.choice(["it was asked", "the cluster knows"])
        moment = moments.uniform(0, took if since == "it was asked" else took / 2)
        acting = asyncio.create_task(act("ada"))
        if since == "the cluster knows":
            await sessions.changed("ada", before)
        await asyncio.sleep(moment)
        await asyncio.to_thread(sessions.hub.kill_hub)
        await asyncio.gather(acting, return_exceptions=True)
        assert await asyncio.to_thread(sessions.answers, "grace"), "a dead hub ends no session"
        await asyncio.to_thread(sessions.hub.start_hub)
        state = await sessions.settled("ada")
        print(f"kill {number}: {act.__name__}, {moment:.2f} s since {since}: {state}")
        if state == "running":
            assert await asyncio.to_thread(sessions.answers, "ada")
            if before:
                assert await sessions.marks("ada") == before, "adopted, not replaced"
        assert await sessions.settled("grace") == "running"
        assert await sessions.uid("grace") == bystander
        assert await asyncio.to_thread(sessions.answers, "grace")
    if state == "running":
        await sessions.stop("ada")
        assert await sessions.settled("ada") == "gone"
    assert await sessions.uid("grace") == bystander
    async with asyncio.timeout(PATIENCE):
        while len(caretakers(sessions.hub)) != 1:
            await asyncio.sleep(0.1)


def caretakers(hub: ClusterHub) -> list[int]:
    """Process ids of the caretakers of this hub, and of hubs that it was before."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            words = process.cmdline()
            if "savu_spawner.caretaker" in words and words[-1].startswith(str(hub.folder)):
                found.append(process.pid)
    return found
