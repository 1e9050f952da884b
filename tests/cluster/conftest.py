"""A real Kubernetes: the development cluster, or the one that KUBECONFIG names."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest
from kubernetes_asyncio import client, config, watch

from dev.cluster import CannotRun, Cluster, programs, write_image
from tests.cluster.pods import IMAGE
from tests.cluster.sessions import Sessions, sessions_in
from tests.support.needs import missing


@dataclass(frozen=True)
class TestCluster:
    """What tests run on."""

    __test__ = False

    kubeconfig: Path
    driver: Cluster | None
    """None on somebody's own cluster, which tests use and never break."""


@pytest.fixture(scope="session")
def cluster() -> TestCluster:
    """The cluster that all tests share; to break one, ask for ``fragile_cluster``."""
    if named := os.environ.get("KUBECONFIG"):
        return TestCluster(Path(named), Cluster.of_kubeconfig(Path(named)))
    driver = Cluster()
    if driver.layout.failure.exists():
        pytest.fail(
            f"The development cluster did not start:\n{driver.layout.failure.read_text()}",
            pytrace=False,
        )
    if not driver.is_running or os.geteuid() != 0:
        missing(f"needs the development cluster: {_why_not()}")
    return TestCluster(driver.kubeconfig, driver)


@pytest.fixture(scope="session")
def driver(cluster: TestCluster) -> Cluster:
    """The development cluster itself, for tests that load images into it."""
    if cluster.driver is None:
        missing("needs the development cluster, and KUBECONFIG names another")
        raise AssertionError("unreachable")
    return cluster.driver


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive of an image with nothing in it but the probe."""
    archive = tmp_path_factory.mktemp("image") / "probe.tar"
    return write_image(archive, IMAGE, {"probe": programs.PROBE}, ["/probe"])


@pytest.fixture(scope="module")
def cluster_of_the_module(
    driver: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    """Not started; ended after the module's last test."""
    own = Cluster(tmp_path_factory.mktemp("cluster"))
    yield own
    own.down()


@pytest.fixture
def fragile_cluster(cluster_of_the_module: Cluster) -> Cluster:
    """A cluster of two nodes for one module alone, whose servers and nodes tests may stop.

    Whatever the test before broke is mended; images that were loaded are there, unless it ended
    the whole cluster.
    """
    cluster_of_the_module.up(nodes=2)
    return cluster_of_the_module


@pytest.fixture
async def kubernetes(cluster: TestCluster) -> AsyncIterator[client.ApiClient]:
    """A client of the shared cluster, as its administrator."""
    async with connected(cluster.kubeconfig) as api:
        yield api


@pytest.fixture
async def namespace(kubernetes: client.ApiClient) -> AsyncIterator[str]:
    """A fresh namespace of the shared cluster, ready for pods; deleted after the test."""
    name = f"test-{uuid4().hex[:10]}"
    await make_namespace(kubernetes, name)
    yield name
    await client.CoreV1Api(kubernetes).delete_namespace(name)


@pytest.fixture
def data() -> Iterator[Path]:
    """A folder of this machine that every user may enter, for host paths of all nodes."""
    folder = Path(tempfile.mkdtemp(prefix="savu-data-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
async def sessions(cluster: TestCluster, namespace: str, data: Path) -> AsyncIterator[Sessions]:
    """Sessions in the test's own namespace."""
    async with sessions_in(cluster.kubeconfig, namespace, data) as made:
        yield made


@asynccontextmanager
async def connected(kubeconfig: Path) -> AsyncIterator[client.ApiClient]:
    """A client with settings of its own: nothing is shared with what the code under test loads."""
    async with await config.new_client_from_config(str(kubeconfig)) as api:
        yield api


async def make_namespace(kubernetes: client.ApiClient, name: str) -> None:
    """On return it has its service account; a pod that came earlier would be refused."""
    core = client.CoreV1Api(kubernetes)
    await core.create_namespace({"metadata": {"name": name}})
    async with watch.Watch() as accounts:
        async for change in accounts.stream(
            core.list_namespaced_service_account,
            name,
            field_selector="metadata.name=default",
            timeout_seconds=60,
        ):
            if change["type"] == "ADDED":
                return
    raise TimeoutError(f"{name} got no default service account within 60 s")


def _why_not() -> str:
    try:
        programs.check_system()
        programs.go()
    except CannotRun as reason:
        return str(reason)
    return "make cluster starts it, make test does so too"
