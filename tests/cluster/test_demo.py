"""``make kubernetes-demo``: the tutorial's steps, over HTTP and in a browser, against pods."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from demo.kubernetes import (
    CLUSTER_WIDE,
    MACHINE_LABEL,
    NAMESPACE,
    SETUP_NAMESPACE,
    Kubectl,
    KubernetesDemo,
    kubectl_program,
)
from demo.story import Story
from dev.cluster.layout import INSIDE
from tests.browser.conftest import chromium, tab_of  # noqa: F401 - fixtures of the steps
from tests.browser.test_steps import (  # noqa: F401 - the same steps, here against pods
    test_1_control_panel_offers_a_start_after_logging_in,
    test_2_progress_page_tells_in_words_and_moves,
    test_3a_scan_is_found_and_looked_at,
    test_3b_absolute_path_opens_and_survives_a_reload,
    test_3c_value_is_changed_saved_and_the_list_run,
    test_4_session_list_and_job_are_still_there_after_logging_out_and_in,
    test_5a_colleague_opens_the_result_and_saves_over_the_list,
    test_5b_stranger_enters_neither_the_session_nor_the_visit,
    test_6_stopped_session_is_told_and_offers_to_start_again,
    test_7_refused_account_reads_why_and_whom_to_ask,
    test_unsaved_change_survives_the_end_of_the_session,
)
from tests.cluster.conftest import TestCluster
from tests.support.images import needs_images
from tests.support.people import PASSWORD, stop_session


@pytest.fixture(scope="module")
def kubectl(cluster: TestCluster) -> Kubectl:
    return Kubectl(kubectl_program(), str(cluster.kubeconfig))


@pytest.fixture(scope="module")
def bed(
    cluster: TestCluster, kubectl: Kubectl, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[KubernetesDemo]:
    """The demo on the cluster, as ``make kubernetes-demo`` starts it."""
    needs_images(cluster.driver)
    # Data as nobody has changed it yet.
    name = f"demo-{uuid4().hex[:10]}"
    disk = INSIDE.folder if cluster.driver else Path("/var/lib")
    demo = KubernetesDemo(kubectl, password=PASSWORD, volumes=str(disk / name), say=print)
    demo.folder = tmp_path_factory.mktemp("demo")
    try:
        demo.up()
        yield demo
    finally:
        demo.down()
        if cluster.driver:
            shutil.rmtree(cluster.driver.layout.folder / name, ignore_errors=True)


@pytest.fixture
def visit() -> str:
    return "/data/cm10001-1"


@pytest.fixture
def remains_of(kubectl: Kubectl) -> Callable[[str], Callable[[], bool]]:
    """As in the browser's tests: the pod, known by its uid."""

    def note(name: str) -> Callable[[], bool]:
        uid = _pod_of(kubectl, name)
        assert uid
        return lambda: _pod_of(kubectl, name) == uid

    return note


def _pod_of(kubectl: Kubectl, name: str) -> str:
    labels = f"component=singleuser-server,hub.jupyter.org/username={name}"
    pods = kubectl.get("pods", "-n", NAMESPACE, "-l", labels)["items"]
    return str(pods[0]["metadata"]["uid"]) if pods else ""


def test_tutorials_steps_go_as_told_over_http(bed: KubernetesDemo) -> None:
    for name in ("ada", "alan", "grace"):
        stop_session(bed, name)
    told: list[str] = []
    picture = Story(bed, told.append).play()
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert any("grace cannot read ada's visit" in line for line in told)
    for name in ("alan", "grace"):
        stop_session(bed, name)


def test_second_start_changes_nothing(bed: KubernetesDemo, kubectl: Kubectl) -> None:
    def running() -> set[str]:
        pods = kubectl.get("pods", "-n", NAMESPACE)["items"]
        return {pod["metadata"]["uid"] for pod in pods}

    before = running()
    bed.up()
    assert running() == before
    assert bed.password == PASSWORD


def test_the_deployment_runs_with_no_privileges(bed: KubernetesDemo, kubectl: Kubectl) -> None:
    labels = kubectl.get("namespace", NAMESPACE)["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    for pod in kubectl.get("pods", "-n", NAMESPACE)["items"]:
        for container in pod["spec"]["containers"]:
            assert container["securityContext"]["readOnlyRootFilesystem"] is True


def test_afterwards_nothing_is_left_but_the_data(bed: KubernetesDemo, kubectl: Kubectl) -> None:
    bed.down()
    for name in (NAMESPACE, SETUP_NAMESPACE):
        assert kubectl.find("namespace", name) is None
    for found in CLUSTER_WIDE:
        assert kubectl.find(found) is None
    assert MACHINE_LABEL not in json.dumps(kubectl.get("nodes"))
