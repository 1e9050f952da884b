"""What the end of each part of a running pod means, provoked for real."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from kubernetes_asyncio.client import ApiClient, CoreV1Api

from savu_spawner.diagnosis import container_status
from savu_spawner.spawner import SavuSpawner
from tests.cluster.conftest import TestCluster
from tests.cluster.sessions import PROGRAM_PATIENCE, Sessions, kill_container
from tests.support.needs import missing

End = Callable[[ApiClient, SavuSpawner], Awaitable[object]]


@pytest.fixture(autouse=True)
def _processes_can_be_killed(cluster: TestCluster) -> None:
    if cluster.driver is None:
        missing("needs a cluster on this machine, to kill single containers")


def kill(program: str) -> End:
    return lambda api, spawner: kill_container(api, spawner, program)


async def delete(api: ApiClient, spawner: SavuSpawner) -> None:
    await CoreV1Api(api).delete_namespaced_pod(spawner.pod_name, spawner.namespace)


async def evict(api: ApiClient, spawner: SavuSpawner) -> None:
    eviction = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": spawner.pod_name, "namespace": spawner.namespace},
    }
    await CoreV1Api(api).create_namespaced_pod_eviction(
        spawner.pod_name, spawner.namespace, eviction
    )


@pytest.mark.parametrize(
    ("end", "words"),
    [
        (kill("web"), "The page"),
        (kill("gate"), "The login gate"),
        (delete, "deleted"),
        (evict, "deleted"),
    ],
    ids=["web killed", "gate killed", "pod deleted", "pod evicted by the API"],
)
async def test_an_end_is_told_at_once_and_nothing_is_left(
    sessions: Sessions, kubernetes: ApiClient, end: End, words: str
) -> None:
    spawner = sessions.spawner()
    await spawner.start()
    told = asyncio.Event()
    spawner.add_poll_callback(told.set)
    await end(kubernetes, spawner)
    await asyncio.wait_for(told.wait(), PROGRAM_PATIENCE)
    assert spawner.ended is not None
    assert words in spawner.ended["reason"]
    watch = spawner.pod_reflector
    key = f"{spawner.namespace}/{spawner.pod_name}"
    await asyncio.wait_for(watch.until(key, lambda pod: pod is None), PROGRAM_PATIENCE)
    # The next start works.
    assert await spawner.start()


async def test_a_data_server_that_died_is_started_again_and_the_session_lives(
    sessions: Sessions, kubernetes: ApiClient
) -> None:
    spawner = sessions.spawner()
    await spawner.start()
    await kill_container(kubernetes, spawner, "dataserver")
    await until_restarted(spawner, "dataserver", 1)
    assert await spawner.poll() is None


async def test_every_process_of_api_killed_at_once_is_survived_once(
    sessions: Sessions, kubernetes: ApiClient
) -> None:
    spawner = sessions.spawner()
    await spawner.start()
    told = asyncio.Event()
    spawner.add_poll_callback(told.set)
    await kill_container(kubernetes, spawner, "api")
    await until_restarted(spawner, "api", 1)
    assert await spawner.poll() is None
    await kill_container(kubernetes, spawner, "api")
    await asyncio.wait_for(told.wait(), PROGRAM_PATIENCE)
    assert spawner.ended is not None
    assert "more memory than it may have" in spawner.ended["reason"]


async def until_restarted(spawner: SavuSpawner, program: str, times: int) -> None:
    """Wait until the watch shows ``program`` ready after this many deaths."""

    def restarted(pod: dict[str, object] | None) -> bool:
        status = container_status(pod, program) if pod else {}
        return bool(status.get("restartCount", 0) >= times and status.get("ready"))

    key = f"{spawner.namespace}/{spawner.pod_name}"
    await asyncio.wait_for(spawner.pod_reflector.until(key, restarted), PROGRAM_PATIENCE)
