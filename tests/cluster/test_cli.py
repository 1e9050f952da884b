"""``savu-spawner`` against a real cluster: what it starts, how one comes in, and what it leaves."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from kubernetes_asyncio.client import ApiClient, CoreV1Api

from savu_spawner._version import __version__
from savu_spawner.contract import PROGRAMS
from tests.cluster.conftest import TestCluster
from tests.support.gate_bed import NAVIGATION
from tests.support.needs import missing

IMAGES = {program: f"localhost/savu-{program}:{__version__}" for program in PROGRAMS}
PERSON = ("--uid", "37001", "--gid", "37001")
PATIENCE = 300
"""Seconds for a command on a busy machine; this only ends a lost cause."""

CONFIGURATION = """
c = get_config()
c.SavuSpawner.cpu_guarantee = 0.05
c.SavuSpawner.mem_guarantee = "128M"
c.JupyterHub.spawner_class = "savu"
c.SavuSpawner.data_volumes = [{"mountPath": "/scratch", "volume": {"emptyDir": {}}}]
"""


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    status: int
    out: str
    err: str


@dataclass(frozen=True)
class Terminal:
    """Runs commands as a developer does."""

    kubeconfig: Path
    namespace: str
    configuration: Path
    core: CoreV1Api

    async def run(self, *arguments: str) -> Ended:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "savu_spawner.cli", "--namespace", self.namespace),
            *arguments,
            env={**os.environ, "KUBECONFIG": str(self.kubeconfig)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(PATIENCE):
            out, err = await process.communicate()
        return Ended(process.returncode or 0, out.decode().strip(), err.decode())

    async def start(self, *arguments: str) -> Ended:
        """With images that are in the cluster, and small enough for a busy machine."""
        images = [word for each in IMAGES.items() for word in ("--image", "=".join(each))]
        configured = ("--config", str(self.configuration))
        return await self.run(*PERSON, *configured, "start", *images, *arguments)

    async def left(self) -> list[str]:
        """What of any session there is in the namespace."""
        return [
            f"{kind} {item.metadata.name}"
            for kind, listed in (
                ("pod", await self.core.list_namespaced_pod(self.namespace)),
                ("secret", await self.core.list_namespaced_secret(self.namespace)),
                ("service", await self.core.list_namespaced_service(self.namespace)),
            )
            for item in listed.items
        ]


@pytest.fixture
async def terminal(
    cluster: TestCluster, kubernetes: ApiClient, namespace: str, tmp_path: Path
) -> Terminal:
    core = CoreV1Api(kubernetes)
    nodes = await core.list_node()
    kept = [each for node in nodes.items for each in node.status.images or []]
    there = {name for each in kept for name in each.names or []}
    if absent := set(IMAGES.values()) - there:
        missing(f"needs images in the cluster: {', '.join(sorted(absent))}; make images loads them")
    configuration = tmp_path / "jupyterhub_config.py"
    configuration.write_text(CONFIGURATION)
    return Terminal(cluster.kubeconfig, namespace, configuration, core)


def told(ended: Ended) -> str:
    return f"exit status {ended.status}\n{ended.out}\n{ended.err}"


async def test_a_session_is_started_entered_and_ended(terminal: Terminal) -> None:
    started = await terminal.start()
    assert started.status == 0, told(started)
    assert "is ready" in started.err
    link = urlsplit(started.out)
    assert link.port != 8888, f"the service's port is reached: {told(started)}"
    async with httpx.AsyncClient(follow_redirects=True, headers=NAVIGATION) as browser:
        page = await browser.get(started.out)
        assert page.status_code == 200, page.text
        assert "link=" not in str(page.url)
        session = (await browser.get(f"{page.url}api/session", headers={"Accept": "*/*"})).json()
        assert session["user"] == "uid-37001"
        assert session["hub_url"] == ""
    async with httpx.AsyncClient(headers=NAVIGATION) as stranger:
        assert (await stranger.get(started.out)).status_code == 401, "a link is for one browser"
        fresh = await terminal.run("url")
        assert fresh.out != started.out
        assert (await stranger.get(fresh.out)).status_code == 302

    token = await terminal.run("url", "--token")
    address = f"{page.url}api/session"
    headers = {"Authorization": f"Bearer {token.out}"}
    async with httpx.AsyncClient() as script:
        assert (await script.get(address)).status_code == 401
        assert (await script.get(address, headers=headers)).status_code == 200

    status = await terminal.run("status")
    assert (status.status, "ready" in status.out) == (0, True), told(status)
    logs = await terminal.run("logs", "gate")
    assert "entered with a link" in logs.out
    assert token.out not in logs.out
    assert "link=" not in (await terminal.run("logs")).out

    ended = await terminal.run("stop")
    assert ended.status == 0, told(ended)
    assert await terminal.left() == []
    assert (await terminal.run("stop")).status == 4


async def test_what_is_started_belongs_to_the_pod_and_to_no_hub(terminal: Terminal) -> None:
    assert (await terminal.start()).status == 0
    (pod,) = (await terminal.core.list_namespaced_pod(terminal.namespace)).items
    assert pod.metadata.labels["savu-spawner/maker"] == "cli"
    assert "savu-spawner/hub-id" not in pod.metadata.labels
    for listed in (
        await terminal.core.list_namespaced_secret(terminal.namespace),
        await terminal.core.list_namespaced_service(terminal.namespace),
    ):
        (owned,) = listed.items
        (owner,) = owned.metadata.owner_references
        assert owner.uid == pod.metadata.uid


async def test_a_session_that_differs_is_told_and_replaced_only_when_asked(
    terminal: Terminal,
) -> None:
    assert (await terminal.start()).status == 0
    (before,) = (await terminal.core.list_namespaced_pod(terminal.namespace)).items
    again = await terminal.start()
    assert (again.status, "is there already" in again.err) == (0, True), told(again)
    changed = terminal.configuration.read_text() + 'c.SavuSpawner.engines = ["savu", "builtin"]\n'
    terminal.configuration.write_text(changed)
    differs = await terminal.start()
    assert differs.status == 3, told(differs)
    assert 'containers[api].env[ENGINES].value: "builtin" → "savu,builtin"' in differs.err
    (still,) = (await terminal.core.list_namespaced_pod(terminal.namespace)).items
    assert still.metadata.uid == before.metadata.uid
    replaced = await terminal.start("--replace")
    assert replaced.status == 0, told(replaced)
    (after,) = (await terminal.core.list_namespaced_pod(terminal.namespace)).items
    assert after.metadata.uid != before.metadata.uid


async def test_without_a_configuration_the_sample_scan_is_there(terminal: Terminal) -> None:
    images = [word for each in IMAGES.items() for word in ("--image", "=".join(each))]
    started = await terminal.run(*PERSON, "start", *images)
    assert started.status == 0, told(started)
    token = await terminal.run("url", "--token")
    headers = {"Authorization": f"Bearer {token.out}"}
    address = started.out.partition("oauth_callback")[0]
    folder = {"path": "/sample/cm10001-1/raw"}
    async with httpx.AsyncClient(headers=headers) as script:
        answer = await script.get(f"{address}api/files", params=folder)
    assert "vessel_00001.nxs" in json.dumps(answer.json())


async def test_a_start_that_cannot_succeed_is_told_and_leaves_nothing(terminal: Terminal) -> None:
    failed = await terminal.start("--image", f"api=localhost/nothing:{__version__}")
    assert failed.status == 1, told(failed)
    assert "localhost/nothing" in failed.err
    assert await terminal.left() == []


async def test_check_finds_a_sound_cluster_and_a_namespace_that_refuses(
    terminal: Terminal,
) -> None:
    checked = await terminal.run("check")
    assert checked.status == 0, told(checked)
    assert "may do what is needed" in checked.out
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    await terminal.core.patch_namespace(terminal.namespace, {"metadata": {"labels": labels}})
    text = terminal.configuration.read_text().replace(
        '{"emptyDir": {}}', '{"hostPath": {"path": "/tmp"}}'
    )
    terminal.configuration.write_text(text)
    refused = await terminal.run("check", "--config", str(terminal.configuration))
    assert "restricted, which refuses /scratch (hostPath)" in refused.out
