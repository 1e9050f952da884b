"""The watch against an API server that is interrupted."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes_asyncio import client, config

from savu_spawner import watch as watch_module
from savu_spawner.watch import Watch
from tests.support.kube_api import NAMESPACE, KubeApi, kube_api
from tests.support.kubernetes import kubeconfig

LOG = logging.getLogger("watch")


def pod(name: str, **labels: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": labels}, "spec": {"containers": []}}


@pytest.fixture
async def api() -> AsyncIterator[KubeApi]:
    async with kube_api() as server:
        yield server


@pytest.fixture
async def pods(api: KubeApi, tmp_path: Path) -> AsyncIterator[client.CoreV1Api]:
    with kubeconfig(tmp_path, api.url) as path:
        settings = client.Configuration()
        await config.load_kube_config(str(path), client_configuration=settings)
        async with client.ApiClient(settings) as api_client:
            yield client.CoreV1Api(api_client)


@pytest.fixture
async def watch(pods: client.CoreV1Api) -> AsyncIterator[Watch]:
    made = Watch(pods.list_namespaced_pod, LOG, namespace=NAMESPACE, label_selector="component=s")
    made.start()
    yield made
    await made.stop()


async def seen(watch: Watch, name: str) -> dict[str, Any]:
    return await asyncio.wait_for(watch.until(f"{NAMESPACE}/{name}", lambda found: found), 20)


async def test_what_was_there_before_is_complete_when_loaded(api: KubeApi, watch: Watch) -> None:
    for number in range(120):
        api.add(pod(f"p{number}", component="s"))
    api.add(pod("foreign", component="other"))
    await asyncio.wait_for(watch.loaded(), 20)
    assert len(watch.objects) == 120


async def test_a_change_wakes_whoever_waits_for_it(api: KubeApi, watch: Watch) -> None:
    await watch.loaded()
    waiting = asyncio.ensure_future(seen(watch, "new"))
    api.add(pod("new", component="s"))
    await waiting
    gone = asyncio.ensure_future(watch.until(f"{NAMESPACE}/new", lambda found: found is None))
    api.remove("new")
    assert await asyncio.wait_for(gone, 20)


async def test_an_ended_watch_goes_on_without_listing_anew(api: KubeApi, watch: Watch) -> None:
    await watch.loaded()
    await asyncio.wait_for(api.watching.wait(), 20)
    api.watching.clear()
    api.end_watches()
    api.add(pod("between", component="s"))
    await seen(watch, "between")
    assert api.lists == ["pods"]


async def test_bookmarks_keep_a_quiet_watch_from_growing_too_old(
    api: KubeApi, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_module, "STREAM_SECONDS", 1)
    await watch.loaded()
    for number in range(10):
        api.add(pod(f"foreign{number}", component="other"))
    await asyncio.wait_for(api.watching.wait(), 20)
    api.watching.clear()
    await asyncio.wait_for(api.watching.wait(), 20)
    api.watching.clear()
    api.oldest_version = 8
    await asyncio.wait_for(api.watching.wait(), 20)
    api.add(pod("new", component="s"))
    await seen(watch, "new")
    assert api.lists == ["pods"]


async def test_a_version_that_is_gone_is_listed_anew_and_nothing_is_lost(
    api: KubeApi, watch: Watch
) -> None:
    api.add(pod("old", component="s"))
    await seen(watch, "old")
    await asyncio.wait_for(api.watching.wait(), 20)
    gone = asyncio.ensure_future(watch.until(f"{NAMESPACE}/old", lambda found: found is None))
    api.oldest_version = 1000
    api.end_watches()
    # Told while nobody listens, and forgotten by the server.
    api.remove("old")
    assert await asyncio.wait_for(gone, 20)
    assert api.lists == ["pods", "pods"]


async def test_a_server_that_was_away_is_found_again(
    api: KubeApi, watch: Watch, caplog: pytest.LogCaptureFixture
) -> None:
    await watch.loaded()
    await api.go_away()
    async with asyncio.timeout(20):
        while "trying until it works" not in caplog.text:
            await asyncio.sleep(0.01)
    api.add(pod("meanwhile", component="s"))
    await api.come_back()
    await seen(watch, "meanwhile")
    assert caplog.text.count("trying until it works") == 1


async def test_a_server_that_is_away_at_the_beginning_is_waited_for(
    api: KubeApi, pods: client.CoreV1Api
) -> None:
    await api.go_away()
    watch = Watch(pods.list_namespaced_pod, LOG, namespace=NAMESPACE)
    watch.start()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(watch.loaded(), 0.5)
    await api.come_back()
    await asyncio.wait_for(watch.loaded(), 20)
    await watch.stop()


async def test_a_connection_that_died_without_a_word_is_noticed(
    api: KubeApi, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_module, "STREAM_SECONDS", 1)
    monkeypatch.setattr(watch_module, "GRACE_SECONDS", 1)
    api.silent = True
    await watch.loaded()
    await asyncio.wait_for(api.watching.wait(), 20)
    api.watching.clear()
    api.add(pod("unheard", component="s"))
    api.silent = False
    await asyncio.wait_for(api.watching.wait(), 20)
    await seen(watch, "unheard")
