"""The caretaker's program with its own, small account, on a real cluster full of others' pods."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web
from kubernetes_asyncio import client, watch

from savu_spawner.caretaker.judgement import Session
from savu_spawner.pod.labels import (
    KEEP_UNTIL,
    SERVERNAME,
    USERNAME,
    Owner,
    session_labels,
)
from tests.cluster.conftest import TestCluster

PATIENCE = 60
"""Seconds after which something that needs a moment never comes."""

ADA = Owner("ada", "", "i12")


class FakeHub:
    """Says which servers there are, as JupyterHub's API does, and whatever a test wants."""

    def __init__(self) -> None:
        self.known: set[Session] = set()
        self.url = ""
        self._asked = asyncio.Semaphore(0)

    async def asked(self, times: int) -> None:
        """Wait until the caretaker has asked so often from now on; the last look is before it."""
        while not self._asked.locked():
            await self._asked.acquire()
        for _ in range(times):
            await asyncio.wait_for(self._asked.acquire(), PATIENCE)

    async def users(self, request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == "token the-token"
        self._asked.release()
        names = {user for user, _ in self.known}
        items = [
            {"name": name, "servers": {s: {"name": s} for u, s in self.known if u == name}}
            for name in sorted(names)
        ]
        return web.json_response({"items": items, "_pagination": {"next": None}})


@pytest.fixture
async def hub() -> AsyncIterator[FakeHub]:
    fake = FakeHub()
    application = web.Application()
    application.router.add_get("/hub/api/users", fake.users)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    fake.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hub/api"
    yield fake
    await runner.cleanup()


@pytest.fixture
async def account(
    cluster: TestCluster, kubernetes: client.ApiClient, namespace: str, tmp_path: Path
) -> Path:
    """A kubeconfig of an account that may list and delete pods of the namespace, and no more."""
    core, rights = client.CoreV1Api(kubernetes), client.RbacAuthorizationV1Api(kubernetes)
    name = {"metadata": {"name": "caretaker"}}
    await core.create_namespaced_service_account(namespace, name)
    rule = {"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "delete"]}
    await rights.create_namespaced_role(namespace, {**name, "rules": [rule]})
    await rights.create_namespaced_role_binding(
        namespace,
        {
            **name,
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "Role",
                "name": "caretaker",
            },
            "subjects": [{"kind": "ServiceAccount", "name": "caretaker", "namespace": namespace}],
        },
    )
    token = await core.create_namespaced_service_account_token(
        "caretaker", namespace, {"spec": {"expirationSeconds": 3600}}
    )
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    for user in config["users"]:
        user["user"] = {"token": token.status.token}
    path = tmp_path / "kubeconfig"
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(config))
    return path


@asynccontextmanager
async def caretaker(
    hub: FakeHub, account: Path, namespace: str, **options: object
) -> AsyncIterator[Path]:
    """The program, and the file with what it says."""
    folder = account.parent
    config, said = folder / "jupyterhub_config.py", folder / "caretaker.log"
    settings = {"interval": 1, "grace": 1, **options}
    config.write_text(
        "c.JupyterHub.spawner_class = 'savu'\n"
        f"c.KubeSpawner.namespace = {namespace!r}\n"
        "c.SavuSpawner.hub_id = 'i12'\n"
        + "".join(f"c.Caretaker.{name} = {value!r}\n" for name, value in settings.items())
    )
    with said.open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "savu_spawner.caretaker",
            "-f",
            str(config),
            stderr=log,
            stdin=subprocess.DEVNULL,
            env={
                "PATH": os.environ["PATH"],
                "KUBECONFIG": str(account),
                "JUPYTERHUB_API_URL": hub.url,
                "JUPYTERHUB_API_TOKEN": "the-token",
            },
        )
    try:
        yield said
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        code = await process.wait()
        print(said.read_text())
    assert code == 0


class Pods:
    """Pods of a test's namespace; none of them ever runs, which is nothing to the caretaker."""

    def __init__(self, kubernetes: client.ApiClient, namespace: str) -> None:
        self._core = client.CoreV1Api(kubernetes)
        self._namespace = namespace

    async def add(self, name: str, owner: Owner | None, **annotations: str) -> str:
        """A session's pod, or with no owner somebody else's; its uid."""
        labels = session_labels(owner.hub_id) if owner else {"component": "singleuser-server"}
        if owner:
            annotations = {USERNAME: owner.user, SERVERNAME: owner.server, **annotations}
        pod = await self._core.create_namespaced_pod(
            self._namespace,
            {
                "metadata": {"name": name, "labels": labels, "annotations": annotations},
                "spec": {
                    "containers": [
                        {"name": "api", "image": "localhost/none:1", "imagePullPolicy": "Never"}
                    ],
                    "terminationGracePeriodSeconds": 0,
                },
            },
        )
        return str(pod.metadata.uid)

    async def left(self) -> dict[str, str]:
        """Names and uids of those that nobody has deleted."""
        pods = await self._core.list_namespaced_pod(self._namespace)
        return {
            pod.metadata.name: pod.metadata.uid
            for pod in pods.items
            if pod.metadata.deletion_timestamp is None
        }

    async def gone(self, names: Iterable[str]) -> None:
        """Wait until Kubernetes has deleted all of these."""
        waiting = set(names)
        async with asyncio.timeout(PATIENCE), watch.Watch() as changes:
            listed = await self._core.list_namespaced_pod(self._namespace)
            waiting &= {pod.metadata.name for pod in listed.items}
            stream = changes.stream(
                self._core.list_namespaced_pod,
                self._namespace,
                resource_version=listed.metadata.resource_version,
            )
            while waiting:
                change = await anext(stream)
                if change["type"] == "DELETED":
                    waiting.discard(change["object"].metadata.name)


@pytest.fixture
def pods(kubernetes: client.ApiClient, namespace: str) -> Pods:
    return Pods(kubernetes, namespace)


async def test_an_orphan_goes_and_everybody_elses_pods_stay(
    hub: FakeHub, account: Path, namespace: str, pods: Pods
) -> None:
    hub.known = {("bob", "")}
    untouched = {
        "of-a-running-server": await pods.add("of-a-running-server", Owner("bob", "", "i12")),
        "of-the-command-line": await pods.add("of-the-command-line", Owner("ada", "", None)),
        "of-another-hub": await pods.add("of-another-hub", Owner("ada", "", "i13")),
        "of-a-stranger": await pods.add("of-a-stranger", None),
    }
    orphan = await pods.add("orphan", ADA)
    async with caretaker(hub, account, namespace) as said:
        await pods.gone(["orphan"])
        await hub.asked(3)
        assert await pods.left() == untouched
        lines = [line for line in said.read_text().splitlines() if "removed" in line]
    assert len(lines) == 1
    assert "user 'ada', server ''" in lines[0]
    assert "no server of this hub owns it" in lines[0]
    [audited] = [line for line in said.read_text().splitlines() if line.startswith('{"audit"')]
    assert json.loads(audited)["audit"]["instance"] == orphan


async def test_a_reset_database_costs_no_session_until_it_is_confirmed(
    hub: FakeHub, account: Path, namespace: str, pods: Pods
) -> None:
    names = ["ada", "bob", "grace"]
    running = {name: await pods.add(name, Owner(name, "", "i12")) for name in names}
    hub.known = {(name, "") for name in names}
    async with caretaker(hub, account, namespace) as said:
        await hub.asked(2)
        hub.known = set()
        await hub.asked(5)
        assert await pods.left() == running
        assert said.read_text().count("does not know 3 of the running sessions") == 1
    async with caretaker(hub, account, namespace, confirm=True):
        await pods.gone(names)


async def test_a_failed_pod_is_kept_for_diagnosis_until_its_time(
    hub: FakeHub, account: Path, namespace: str, pods: Pods
) -> None:
    until = datetime.now(UTC) + timedelta(seconds=8)
    later = datetime.now(UTC) + timedelta(hours=1)
    await pods.add("due", ADA, **{KEEP_UNTIL: until.isoformat(timespec="seconds")})
    kept = await pods.add("not-due", ADA, **{KEEP_UNTIL: later.isoformat(timespec="seconds")})
    async with caretaker(hub, account, namespace) as said:
        await pods.gone(["due"])
        assert datetime.now(UTC) >= until.replace(microsecond=0)
        await hub.asked(3)
        assert await pods.left() == {"not-due": kept}
    assert "kept for diagnosis until" in said.read_text()


async def test_an_account_without_the_right_is_told_and_the_caretaker_lives(
    hub: FakeHub, account: Path, namespace: str, pods: Pods, kubernetes: client.ApiClient
) -> None:
    await pods.add("orphan", ADA)
    rights = client.RbacAuthorizationV1Api(kubernetes)
    rule: dict[str, Any] = {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}
    role = {"metadata": {"name": "caretaker"}, "rules": [rule]}
    await rights.replace_namespaced_role("caretaker", namespace, role)
    async with caretaker(hub, account, namespace) as said:
        await hub.asked(4)
        assert "cannot delete resource" in said.read_text()
        rule["verbs"].append("delete")
        await rights.replace_namespaced_role("caretaker", namespace, role)
        await pods.gone(["orphan"])
