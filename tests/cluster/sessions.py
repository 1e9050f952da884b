"""Sessions on a real cluster, started by a SavuSpawner without a hub."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from kubernetes_asyncio import config
from kubernetes_asyncio.client import ApiClient, Configuration, CoreV1Api
from kubernetes_asyncio.stream import WsApiClient

from savu_spawner._version import __version__
from savu_spawner.contract import WEB_PORT
from savu_spawner.identity import Group, Identity
from savu_spawner.spawner import SavuSpawner
from tests.cluster.pods import IMAGE
from tests.support.identities import ADA
from tests.support.kubernetes import KnownPeople, make_spawner, using

IMAGES = {
    "image": f"localhost/savu-api:{__version__}",
    "web_image": f"localhost/savu-web:{__version__}",
    "gate_image": f"localhost/savu-gate:{__version__}",
    "dataserver_image": f"localhost/savu-dataserver:{__version__}",
}

GRACE = Identity(
    name="grace",
    display_name="Grace Hopper",
    uid=37002,
    group=Group("grace", 37002),
    groups=(Group("cm10002_1", 31002),),
)

PROGRAM_PATIENCE = 120
"""Seconds for a start on a busy machine; tests wait for events, this only ends a lost cause."""


class Sessions:
    """Spawners of one namespace; what they started is gone at the end."""

    def __init__(self, namespace: str, data: Path) -> None:
        self.namespace = namespace
        self.data = data
        self._spawners: list[SavuSpawner] = []

    def spawner(self, person: Identity = ADA, **settings: Any) -> SavuSpawner:
        """Of ``person``, with the folder ``data`` as a host path; ``settings`` are traits."""
        volume = {"hostPath": {"path": str(self.data), "type": "Directory"}}
        made = make_spawner(
            name=person.name,
            **{
                "namespace": self.namespace,
                "data_volumes": [{"mountPath": str(self.data), "volume": volume}],
                "image_pull_policy": "Never",
                "cpu_guarantee": 0.05,
                "mem_guarantee": "64M",
                "delete_grace_period": 0,
                "start_timeout": PROGRAM_PATIENCE,
                **IMAGES,
                **settings,
            },
        )
        made.directory = KnownPeople(person)
        made.policy.support_contact = "the helpdesk"
        self._spawners.append(made)
        return made

    async def end(self) -> None:
        await asyncio.gather(*(spawner.stop(now=True) for spawner in self._spawners))
        await SavuSpawner._stop_all_reflectors()


@asynccontextmanager
async def sessions_in(kubeconfig: Path, namespace: str, data: Path) -> AsyncIterator[Sessions]:
    """Sessions in a namespace of the cluster that ``kubeconfig`` names."""
    with using(kubeconfig):
        made = Sessions(namespace, data)
        try:
            yield made
        finally:
            await made.end()


def stand_ins(spawner: SavuSpawner, pod: Any) -> Any:
    """A hook that puts a program in each container's place that answers, and does nothing else.

    For tests of what Kubernetes and the spawner do, where the session itself would be ballast.
    """
    for port, container in enumerate(pod.spec.containers, WEB_PORT):
        container["image"] = IMAGE
        container["args"] = ["serve", str(port)]
        container["readinessProbe"] = {"httpGet": {"path": "/", "port": port}, "periodSeconds": 1}
        container["resources"] = {}
    return pod


def api_runs(*command: str) -> Callable[[SavuSpawner, Any], Any]:
    """A hook that has ``api`` run something else than its program."""

    def hook(spawner: SavuSpawner, pod: Any) -> Any:
        (api,) = (each for each in pod.spec.containers if each["name"] == "api")
        api["command"] = list(command)
        return pod

    return hook


def said(spawner: SavuSpawner) -> str:
    """Everything that the progress page has shown."""
    assert spawner.spawn_log is not None
    return " ".join(event["message"] for event in spawner.spawn_log.events)


async def until_said(spawner: SavuSpawner, words: str) -> None:
    """Wait for a sentence on the progress page."""
    async with asyncio.timeout(PROGRAM_PATIENCE):
        async for event in spawner.progress():
            if words in event["message"]:
                return


async def run_in(kubeconfig: Path, spawner: SavuSpawner, container: str, command: str) -> str:
    """What a shell command inside a container prints, errors included."""
    settings = Configuration()
    await config.load_kube_config(str(kubeconfig), client_configuration=settings)
    async with WsApiClient(settings) as api:
        output = await CoreV1Api(api).connect_get_namespaced_pod_exec(
            spawner.pod_name,
            spawner.namespace,
            container=container,
            command=["/bin/sh", "-c", command],
            stdout=True,
            stderr=True,
            stdin=False,
            tty=False,
        )
    return str(output)


async def first_process(api: ApiClient, spawner: SavuSpawner, container: str) -> int:
    """The process of this machine that is the first of a container."""
    pod = await CoreV1Api(api).read_namespaced_pod(spawner.pod_name, spawner.namespace)
    (running,) = (s for s in pod.status.container_statuses if s.name == container)
    name = running.container_id.removeprefix("containerd://")
    (first,) = (pid for pid in _processes_of(name) if _number_inside(pid) == 1)
    return first


async def kill_container(api: ApiClient, spawner: SavuSpawner, container: str) -> None:
    """SIGKILL for every process of a container at once, as the kernel does for memory."""
    # The others die with the first process of their namespace.
    os.kill(await first_process(api, spawner, container), signal.SIGKILL)


def _processes_of(container: str) -> Iterator[int]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                if container in (entry / "cgroup").read_text():
                    yield int(entry.name)


def _number_inside(pid: int) -> int:
    """A process's number in the innermost of its namespaces."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("NSpid:"):
            return int(line.split()[-1])
    raise ValueError(f"/proc/{pid}/status has no NSpid")
