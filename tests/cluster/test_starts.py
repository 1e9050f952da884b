"""Starts on a real cluster: those that succeed, and why the others do not."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from kubernetes_asyncio.client import ApiClient, CoreV1Api
from tornado.web import HTTPError

from dev.cluster import Cluster
from savu_spawner.spawner import SavuSpawner
from tests.cluster.pods import IMAGE
from tests.cluster.sessions import GRACE, Sessions, api_runs, said, stand_ins, until_said


async def refused(spawner: SavuSpawner) -> Any:
    """The error of a start that fails, as JupyterHub shows it; its pod is gone then."""
    with pytest.raises(HTTPError) as failed:
        await spawner.start()
    await spawner.stop()
    return failed.value


async def test_a_session_starts_and_answers_at_its_prefix(sessions: Sessions) -> None:
    spawner = sessions.spawner()
    url = await spawner.start()
    async with httpx.AsyncClient() as http:
        # 401 once all programs answer: JupyterHub takes that for ready.
        assert (await http.get(f"{url}/user/ada/api")).status_code == 401
        assert (await http.get(f"{url}/user/ada/api/session")).status_code == 401
        assert (await http.get(f"{url}/internal/activity")).status_code == 404
    assert await spawner.poll() is None
    percents = [event["progress"] for event in spawner.spawn_log.events]
    assert percents == sorted(percents)
    for words in ("A machine was found", "The page is ready", "The data server is ready"):
        assert words in said(spawner)


async def test_a_stopped_session_leaves_nothing(
    sessions: Sessions, kubernetes: ApiClient, namespace: str
) -> None:
    spawner = sessions.spawner()
    await spawner.start()
    await spawner.stop()
    core = CoreV1Api(kubernetes)
    assert (await core.list_namespaced_pod(namespace)).items == []
    assert (await core.list_namespaced_secret(namespace)).items == []
    assert (await core.list_namespaced_service(namespace)).items == []
    assert await spawner.poll() == 1


async def test_a_hub_that_forgot_a_session_adopts_its_pod(sessions: Sessions) -> None:
    spawner = sessions.spawner()
    await spawner.start()
    again = sessions.spawner()
    again.load_state({"pod_name": spawner.pod_name})
    assert await again.poll() is None


async def test_programs_of_other_making_start_behind_the_gate(
    sessions: Sessions, driver: Cluster, image: Path
) -> None:
    driver.load(image)
    ports = {"api": 5000, "dataserver": 8080}

    def hook(spawner: SavuSpawner, pod: Any) -> Any:
        for container in pod.spec.containers:
            if container["name"] in ports:
                container["args"] = ["serve", str(ports[container["name"]])]
        return pod

    spawner = sessions.spawner(
        image=IMAGE, dataserver_image=IMAGE, foreign_programs=ports, modify_pod_hook=hook
    )
    url = await spawner.start()
    async with httpx.AsyncClient() as http:
        assert (await http.get(f"{url}/user/ada/api")).status_code == 401
        for path in ("api/plugin", "data/info/", "socket.io/"):
            assert (await http.get(f"{url}/user/ada/{path}")).status_code == 401
    assert await spawner.poll() is None


async def test_twenty_users_at_once(sessions: Sessions, driver: Cluster, image: Path) -> None:
    driver.load(image)
    people = [replace(GRACE, name=f"u{n}", uid=38000 + n) for n in range(20)]
    spawners = [sessions.spawner(person, modify_pod_hook=stand_ins) for person in people]
    urls = await asyncio.gather(*(spawner.start() for spawner in spawners))
    assert len(set(urls)) == 20
    assert [await spawner.poll() for spawner in spawners] == [None] * 20


# -- What no waiting mends ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {"gate_image": "localhost/not-here:1"},
            "“localhost/not-here:1” is not on the machine",
        ),
        (
            {
                "data_volumes": [
                    {
                        "mountPath": "/dls",
                        "volume": {"persistentVolumeClaim": {"claimName": "nobodys"}},
                    }
                ]
            },
            "no persistentvolumeclaim “nobodys”",
        ),
        (
            {
                "data_volumes": [
                    {
                        "mountPath": "/dls",
                        "volume": {"hostPath": {"path": "/not/there", "type": "Directory"}},
                    }
                ]
            },
            "its folder is not on the machine",
        ),
        (
            {
                "volumes": {"x": {"name": "x", "configMap": {"name": "nobodys"}}},
                "volume_mounts": {"x": {"name": "x", "mountPath": "/x"}},
            },
            "no configmap “nobodys”",
        ),
        (
            {"extra_container_config": {"envFrom": [{"secretRef": {"name": "nobodys"}}]}},
            "the processing service, cannot be set up",
        ),
        (
            {"modify_pod_hook": api_runs("/no/such/program")},
            "the processing service, cannot be started",
        ),
        (
            {"modify_pod_hook": api_runs("/bin/sh", "-c", "echo no roots; exit 78")},
            "ends as soon as it is started: no roots",
        ),
    ],
    ids=[
        "image absent",
        "claim missing",
        "folder missing",
        "config map missing",
        "secret missing",
        "command missing",
        "misconfigured",
    ],
)
async def test_what_no_waiting_mends_ends_the_start_in_words(
    sessions: Sessions, settings: dict[str, Any], words: str
) -> None:
    error = await refused(sessions.spawner(**settings))
    assert words in error.jupyterhub_message
    assert "the helpdesk" in error.jupyterhub_message


async def test_what_a_cluster_refuses_is_told_in_its_own_words_and_not_counted(
    sessions: Sessions, kubernetes: ApiClient, namespace: str
) -> None:
    quota = {"metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}}
    await CoreV1Api(kubernetes).create_namespaced_resource_quota(namespace, quota)
    error = await refused(sessions.spawner())
    assert "exceeded quota" in error.jupyterhub_message
    assert error.status_code < 500


async def test_the_restricted_policy_is_told_of_host_paths_and_of_nothing_else(
    sessions: Sessions, kubernetes: ApiClient, namespace: str
) -> None:
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    await CoreV1Api(kubernetes).patch_namespace(namespace, {"metadata": {"labels": labels}})
    error = await refused(sessions.spawner())
    assert "hostPath" in error.jupyterhub_message
    assert "seccomp" not in error.jupyterhub_message
    assert "runAs" not in error.jupyterhub_message


# -- What is tried again --------------------------------------------------------------------------


async def test_failures_that_may_heal_are_told_first_and_then_end_the_start(
    sessions: Sessions, caplog: pytest.LogCaptureFixture
) -> None:
    people = {
        "registry": replace(GRACE, name="r", uid=38101),
        "crash": replace(GRACE, name="c", uid=38102),
        "memory": replace(GRACE, name="m", uid=38103),
    }
    # A registry that nobody is at; 127.0.0.1 is the node's own.
    registry = sessions.spawner(
        people["registry"], web_image="127.0.0.1:9/savu-web:1", image_pull_policy="IfNotPresent"
    )
    crash = sessions.spawner(
        people["crash"],
        modify_pod_hook=api_runs("/bin/sh", "-c", "echo out of luck; exit 3"),
    )
    memory = sessions.spawner(people["memory"], mem_limit="12M", mem_guarantee="12M")
    with caplog.at_level(logging.WARNING):
        errors = await asyncio.gather(refused(registry), refused(crash), refused(memory))
    assert "trying once more" in said(registry)
    assert "“127.0.0.1:9/savu-web:1” could not be fetched" in errors[0].jupyterhub_message
    assert "The processing service ended while it started; trying again" in said(crash)
    assert "out of luck" in errors[1].jupyterhub_message
    assert "api: out of luck" in caplog.text
    assert "event Failed: " in caplog.text
    assert "more memory than it may have" in errors[2].jupyterhub_message


async def test_waiting_for_a_machine_is_told_and_ends_at_the_sites_own_limit(
    sessions: Sessions,
) -> None:
    spawner = sessions.spawner(node_selector={"no": "where"}, start_timeout=20)
    starting = asyncio.ensure_future(refused(spawner))
    await until_said(spawner, "Waiting for a machine")
    error = await starting
    assert "was not ready within 17 seconds" in error.jupyterhub_message


async def test_a_program_that_is_never_ready_is_named(sessions: Sessions) -> None:
    sleeps = api_runs("/bin/sh", "-c", "exec sleep 600")
    error = await refused(sessions.spawner(modify_pod_hook=sleeps, start_timeout=25))
    assert "Still missing: the processing service" in error.jupyterhub_message


async def test_a_pod_of_the_same_name_that_somebody_else_made_is_left_alone(
    sessions: Sessions, kubernetes: ApiClient, namespace: str
) -> None:
    spawner = sessions.spawner()
    core = CoreV1Api(kubernetes)
    container = {"name": "c", "image": "localhost/not-here:1", "imagePullPolicy": "Never"}
    pod = {"metadata": {"name": spawner.pod_name}, "spec": {"containers": [container]}}
    await core.create_namespaced_pod(namespace, pod)
    error = await refused(spawner)
    assert "something else has its name" in error.jupyterhub_message
    left = await core.read_namespaced_pod(spawner.pod_name, namespace)
    assert left.metadata.deletion_timestamp is None
