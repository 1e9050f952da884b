"""Sessions while the cluster around them fails: on a cluster of their own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from kubernetes_asyncio.client import CoreV1Api
from tornado.web import HTTPError

from dev.cluster import Cluster
from tests.cluster.conftest import connected, make_namespace
from tests.cluster.sessions import (
    GRACE,
    PROGRAM_PATIENCE,
    Sessions,
    sessions_in,
    stand_ins,
    until_said,
)
from tests.support.identities import ADA

NAMESPACE = "sessions"


@pytest.fixture
async def sessions(fragile_cluster: Cluster, image: Path, data: Path) -> AsyncIterator[Sessions]:
    await asyncio.to_thread(fragile_cluster.load, image)
    async with connected(fragile_cluster.kubeconfig) as kubernetes:
        core = CoreV1Api(kubernetes)
        names = [item.metadata.name for item in (await core.list_namespace()).items]
        if NAMESPACE not in names:
            await make_namespace(kubernetes, NAMESPACE)
    async with sessions_in(fragile_cluster.kubeconfig, NAMESPACE, data) as made:
        yield made


async def test_an_api_server_that_is_away_for_a_minute_costs_no_session(
    sessions: Sessions, fragile_cluster: Cluster
) -> None:
    ada = sessions.spawner(ADA, modify_pod_hook=stand_ins)
    grace = sessions.spawner(
        GRACE,
        modify_pod_hook=stand_ins,
        k8s_api_request_retry_timeout=PROGRAM_PATIENCE,
        start_timeout=3 * PROGRAM_PATIENCE,
    )
    url = await ada.start()
    told = asyncio.Event()
    ada.add_poll_callback(told.set)
    await asyncio.to_thread(fragile_cluster.stop_api_server)
    # Started while nobody answers, and stopped as well: both are done once somebody does.
    starting = asyncio.ensure_future(grace.start())
    await asyncio.sleep(0)
    await until_said(grace, "cannot be reached at the moment")
    async with httpx.AsyncClient() as http:
        for _ in range(6):
            assert (await http.get(url)).status_code == 200
            assert await ada.poll() is None
            # The outage itself: a minute in which sessions are used.
            await asyncio.sleep(10)
    stopping = asyncio.ensure_future(ada.stop())
    await asyncio.sleep(0)
    assert not stopping.done()
    await asyncio.to_thread(fragile_cluster.start_api_server)
    assert await starting
    await asyncio.wait_for(stopping, PROGRAM_PATIENCE)
    assert ada._pod() is None
    assert await grace.poll() is None


async def test_an_end_during_an_outage_is_told_after_it(
    sessions: Sessions, fragile_cluster: Cluster
) -> None:
    ada = sessions.spawner(ADA, modify_pod_hook=stand_ins)
    await ada.start()
    told = asyncio.Event()
    ada.add_poll_callback(told.set)
    async with connected(fragile_cluster.kubeconfig) as kubernetes:
        await CoreV1Api(kubernetes).delete_namespaced_pod(
            ada.pod_name, NAMESPACE, grace_period_seconds=5
        )
        await asyncio.to_thread(fragile_cluster.stop_api_server)
        await asyncio.to_thread(fragile_cluster.start_api_server)
    await asyncio.wait_for(told.wait(), PROGRAM_PATIENCE)
    assert await ada.start()


async def test_a_lost_node_ends_its_sessions_and_keeps_new_ones_from_writing_beside_them(
    sessions: Sessions, fragile_cluster: Cluster
) -> None:
    ada = sessions.spawner(ADA, modify_pod_hook=stand_ins, node_selector=on("node2"))
    grace = sessions.spawner(GRACE, modify_pod_hook=stand_ins, node_selector=on("node1"))
    await ada.start()
    await grace.start()
    told = asyncio.Event()
    ada.add_poll_callback(told.set)
    await asyncio.to_thread(fragile_cluster.stop_kubelet, "node2")
    try:
        await asyncio.wait_for(told.wait(), PROGRAM_PATIENCE)
        assert ada.ended is not None
        assert "machine was lost" in ada.ended["reason"]
        with pytest.raises(HTTPError) as refused:
            await ada.start()
        assert "may still be writing" in refused.value.jupyterhub_message
        ada.replace_on_lost_node = True
        ada.node_selector = on("node1")
        assert await ada.start()
        assert await grace.poll() is None
    finally:
        await asyncio.to_thread(fragile_cluster.start_kubelet, "node2")


def on(node: str) -> dict[str, str]:
    return {"kubernetes.io/hostname": node}
