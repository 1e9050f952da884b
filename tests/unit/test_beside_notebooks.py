"""Savu as a choice beside notebooks, with what zero-to-jupyterhub 4 configures for these."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from traitlets.config import Config

from savu_spawner.beside_notebooks import SavuOrNotebookSpawner
from savu_spawner.cli import spawner_without_hub
from savu_spawner.directory import LdapDirectory
from savu_spawner.spawner import SavuSpawner
from tests.support.identities import ADA
from tests.support.kube_api import KubeApi, kube_api
from tests.support.kubernetes import KnownPeople, kubeconfig
from tests.support.zero_to_jupyterhub import rendered, values_of_the_how_to

POD = "jupyter-ada"
SAVU = {"profile": "savu"}
NOTEBOOK = {"profile": "notebook"}


@pytest.fixture
async def api() -> AsyncIterator[KubeApi]:
    async with kube_api() as server:
        yield server


@pytest.fixture
def config() -> Config:
    values = values_of_the_how_to()
    config = rendered(values)
    config.KubeSpawner.k8s_api_request_retry_timeout = 2
    # The server stands for pods only.
    config.KubeSpawner.storage_pvc_ensure = False
    return config


@pytest.fixture
async def spawner(
    api: KubeApi, config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[SavuOrNotebookSpawner]:
    monkeypatch.setattr(LdapDirectory, "instance", lambda **_: KnownPeople(ADA))
    with kubeconfig(tmp_path, api.url):
        made = spawner_without_hub(config, SavuOrNotebookSpawner, "ada")
        made.api_token = "the-hub's-token"
        try:
            yield made
        finally:
            # Each class has its own.
            await SavuOrNotebookSpawner._stop_all_reflectors()
            await SavuSpawner._stop_all_reflectors()
            await made.api.api_client.close()


async def started(spawner: SavuOrNotebookSpawner, api: KubeApi, options: dict[str, Any]) -> Any:
    """The pod of a start that succeeded."""
    spawner.user_options = options
    api.created.clear()
    starting = asyncio.ensure_future(spawner.start())
    await asyncio.wait_for(api.created.wait(), 10)
    api.report_ready(POD)
    await asyncio.wait_for(starting, 20)
    return api.pods[POD]


def containers_of(pod: Any) -> list[str]:
    return [container["name"] for container in pod["spec"]["containers"]]


async def test_spawn_page_offers_both(spawner: SavuOrNotebookSpawner) -> None:
    form = await spawner.get_options_form()
    assert "Notebook" in form
    assert "Savu" in form


@pytest.mark.parametrize("options", [NOTEBOOK, {}], ids=["chosen", "by-default"])
async def test_notebook_is_as_the_chart_makes_it(
    spawner: SavuOrNotebookSpawner, api: KubeApi, options: dict[str, Any]
) -> None:
    pod = await started(spawner, api, options)
    (container,) = pod["spec"]["containers"]
    assert container["name"] == "notebook"
    assert container["image"] == "quay.io/jupyterhub/k8s-singleuser-sample:4.3.1"
    assert container["args"] == ["jupyterhub-singleuser"]
    assert container["securityContext"]["runAsUser"] == 1000
    assert pod["spec"]["securityContext"]["fsGroup"] == 100
    assert pod["spec"]["initContainers"][0]["name"] == "block-cloud-metadata"
    assert "/home/jovyan" in [mount["mountPath"] for mount in container["volumeMounts"]]
    # c.SavuSpawner.mem_limit is none of a notebook's business.
    assert "memory" not in container["resources"].get("limits", {})


async def test_session_takes_nothing_that_is_for_notebooks(
    spawner: SavuOrNotebookSpawner, api: KubeApi, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="traitlets")
    pod = await started(spawner, api, SAVU)
    assert containers_of(pod) == ["web", "gate", "api", "dataserver"]
    images = {container["image"] for container in pod["spec"]["containers"]}
    assert all(image.startswith("REGISTRY.FACILITY.EXAMPLE/savu-") for image in images)
    assert pod["spec"]["securityContext"]["runAsUser"] == ADA.uid
    assert "fsGroup" not in pod["spec"]["securityContext"]
    assert "initContainers" not in pod["spec"]
    assert "jovyan" not in json.dumps(pod)
    assert pod["metadata"]["labels"]["hub.jupyter.org/network-access-hub"] == "true"
    said = [line for line in caplog.messages if "for notebooks, not applied" in line]
    for what in ("runAsUser 1000", "fs_gid 100", "cmd and args", "home volume", "block-cloud"):
        assert len([line for line in said if what in line]) == 1, what


async def test_notebook_starts_after_a_session(
    spawner: SavuOrNotebookSpawner, api: KubeApi
) -> None:
    await started(spawner, api, SAVU)
    await spawner.stop()
    spawner.clear_state()
    assert containers_of(await started(spawner, api, NOTEBOOK)) == ["notebook"]
    assert await spawner.poll() is None


async def test_restarted_hub_knows_the_session_again(
    spawner: SavuOrNotebookSpawner, api: KubeApi, config: Config
) -> None:
    await started(spawner, api, SAVU)
    spawner.orm_spawner.state = spawner.get_state()
    again = spawner.user._new_spawner("", spawner_class=SavuOrNotebookSpawner)
    assert again.savu is not None
    assert await again.poll() is None
    api.remove(POD)
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        while await again.poll() is None:
            await asyncio.sleep(0.01)
    assert again.ended is not None


async def test_end_of_a_session_is_told_until_the_next_start(
    spawner: SavuOrNotebookSpawner, api: KubeApi
) -> None:
    await started(spawner, api, SAVU)
    await spawner.stop()
    spawner.clear_state()
    spawner.orm_spawner.state = spawner.get_state()
    again = spawner.user._new_spawner("", spawner_class=SavuOrNotebookSpawner)
    assert again.ended is not None
    await started(again, api, NOTEBOOK)
    assert again.ended is None


async def test_progress_page_follows_what_was_chosen(
    spawner: SavuOrNotebookSpawner, api: KubeApi
) -> None:
    told: list[str] = []

    async def follow() -> None:
        async for event in spawner.progress():
            told.append(event["message"])

    following = asyncio.ensure_future(follow())
    await started(spawner, api, SAVU)
    following.cancel()
    assert told[0].startswith("Looking you up")
