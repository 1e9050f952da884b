"""The how-to for an existing zero-to-jupyterhub, executed: its values file, rendered as the chart
does, on both JupyterHubs; sessions and notebooks are real pods."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from demo.bed import Bed, free_port
from demo.kubernetes import Kubectl, kubectl_program
from demo.visitor import Visitor, text_of
from dev.cluster import Cluster
from dev.cluster.layout import INSIDE
from dev.images.bases import base_arguments
from dev.images.engines import ImagesError, find_engine
from savu_spawner._version import __version__
from tests.cluster.conftest import TestCluster
from tests.support.images import needs_images
from tests.support.needs import missing, needs_program
from tests.support.people import HUBS, PASSWORD, ROOT, person, stop_session
from tests.support.zero_to_jupyterhub import values_of_the_how_to

NOTEBOOK = "localhost/notebook"
RECIPE = Path(__file__).parent / "notebook" / "Dockerfile"
TAG = hashlib.sha256(RECIPE.read_bytes()).hexdigest()[:12]
UID = 21001


@pytest.fixture(scope="module")
def kubectl(cluster: TestCluster) -> Kubectl:
    return Kubectl(kubectl_program(), str(cluster.kubeconfig))


@pytest.fixture(scope="module")
def notebook_image(driver: Cluster, tmp_path_factory: pytest.TempPathFactory) -> None:
    """In the cluster, built if it is not there."""
    reference = f"{NOTEBOOK}:{TAG}"
    if reference in driver.images():
        return
    folder = tmp_path_factory.mktemp("notebook")
    try:
        engine = find_engine()
        if not engine.identity(reference):
            bases = base_arguments(engine)
            arguments = {"BUILD_BASE": bases["BUILD_BASE"]} if bases else {}
            engine.build(reference, RECIPE, folder, arguments, folder / "build.log")
        engine.save([reference], folder / "notebook.tar")
    except ImagesError as error:
        missing(f"needs an image with notebooks: {error}")
    driver.load(folder / "notebook.tar")


@pytest.fixture(scope="module")
def namespace(kubectl: Kubectl, driver: Cluster) -> Iterator[str]:
    """With a volume for ada's notebooks, and one with the facility's data."""
    name = f"test-{uuid4().hex[:10]}"
    kubectl("create", "namespace", name)
    kubectl("wait", "--for=create", "serviceaccount/default", "-n", name, "--timeout=60s")
    volumes = {claim: f"{name}-{claim}" for claim in ("claim-ada", "data")}
    for volume in volumes.values():
        folder = driver.layout.folder / volume
        folder.mkdir()
        # Nobody's home but the notebooks'; the kubelet gives no hostPath to a pod's group.
        os.chown(folder, 1000, 100)
    kubectl.apply(
        *(_volume(volume, name, claim) for claim, volume in volumes.items()), _claim("data", name)
    )
    try:
        yield name
    finally:
        kubectl("delete", "namespace", name)
        kubectl("delete", *(f"persistentvolume/{volume}" for volume in volumes.values()))
        for volume in volumes.values():
            shutil.rmtree(driver.layout.folder / volume)


def _volume(name: str, namespace: str, claim: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": "10Gi"},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "claimRef": {"namespace": namespace, "name": claim},
            "hostPath": {"path": str(INSIDE.folder / name), "type": "Directory"},
        },
    }


def _claim(name: str, namespace: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "",
            "resources": {"requests": {"storage": "10Gi"}},
        },
    }


def chart_values() -> dict[str, Any]:
    """Those of the how-to, with what it leaves to the facility."""
    text = json.dumps(values_of_the_how_to())
    for placeholder, value in {
        "REGISTRY.FACILITY.EXAMPLE": "localhost",
        "VERSION": __version__,
        "/DATA": "/data",
        "DATA-CLAIM": "data",
        "dc=FACILITY,dc=EXAMPLE": "dc=facility,dc=example",
        "ou=group,": "ou=groups,",
        "HELPDESK@FACILITY.EXAMPLE": "helpdesk@facility.example",
    }.items():
        text = text.replace(placeholder, value)
    values: dict[str, Any] = json.loads(text)
    # The facility's own notebooks.
    values["singleuser"]["image"] = {"name": NOTEBOOK, "tag": TAG}
    values["singleuser"]["networkTools"] = {"image": {"name": NOTEBOOK, "tag": TAG}}
    values["singleuser"]["memory"] = {"guarantee": "256M"}
    values["hub"]["config"]["SavuSpawner"] |= {"mem_guarantee": "256M", "cpu_guarantee": 0.05}
    return values


@pytest.fixture(scope="module", params=HUBS)
def hub(
    request: pytest.FixtureRequest,
    cluster: TestCluster,
    driver: Cluster,
    namespace: str,
    notebook_image: None,
) -> Iterator[Bed]:
    needs_program("slapd")
    needs_images(driver)
    with pytest.MonkeyPatch.context() as environment, tempfile.TemporaryDirectory() as name:
        environment.setenv("CHART_VALUES", json.dumps(chart_values()))
        environment.setenv("HUB_URL", f"http://{driver.addresses.host}:{free_port()}")
        environment.setenv("POD_NAMESPACE", namespace)
        environment.setenv("KUBECONFIG", str(cluster.kubeconfig))
        environment.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
        bed = Bed(
            Path(name),
            password=PASSWORD,
            python=str(HUBS[request.param]),
            config=Path(__file__).with_name("z2jh_jupyterhub_config.py"),
        )
        with bed:
            yield bed


def start(visitor: Visitor, profile: str) -> list[str]:
    """Choose on the spawn page; what the progress page then tells, to the end."""
    page = visitor.choose(profile=profile)
    assert page.ok, text_of(page)
    told = []
    for event in visitor.progress():
        told.append(event.get("message", ""))
        assert not event.get("failed"), told
    return told


def test_spawn_page_offers_notebooks_and_savu(hub: Bed) -> None:
    ada = person(hub, "ada")
    page = text_of(ada.start_server())
    assert "Notebook" in page
    assert "Browse the data of your visits" in page


def test_session_then_notebook_then_session_start(
    hub: Bed, kubectl: Kubectl, namespace: str
) -> None:
    ada = person(hub, "ada")
    for profile in ("savu", "notebook", "savu"):
        told = start(ada, profile)
        (pod,) = kubectl.get("pods", "-n", namespace)["items"]
        names = [container["name"] for container in pod["spec"]["containers"]]
        assert ada.open_session().ok
        if profile == "savu":
            assert any(line.startswith("Looking you up") for line in told)
            assert names == ["web", "gate", "api", "dataserver"]
            assert ada.get("api/session")["uid"] == UID
        else:
            assert names == ["notebook"]
            assert pod["spec"]["containers"][0]["securityContext"]["runAsUser"] == 1000
            assert "version" in ada.request("GET", "api").json()
        stop_session(hub, "ada")


def test_what_the_chart_sets_for_notebooks_is_said_once_a_start(hub: Bed) -> None:
    ada = person(hub, "ada")
    before = len(hub.hub_log.read_text())
    start(ada, "savu")
    said = re.findall(r"for notebooks, not applied: (\S+ \S+)", hub.hub_log.read_text()[before:])
    assert len(said) == len(set(said))
    for what in ("runAsUser 1000", "fs_gid 100", "cmd and", "home volume", "privileged init"):
        assert any(line.startswith(what) for line in said), what
    stop_session(hub, "ada")


@pytest.mark.parametrize("profile", ["savu", "notebook"])
def test_hub_that_was_restarted_adopts_what_runs(
    hub: Bed, kubectl: Kubectl, namespace: str, profile: str
) -> None:
    ada = person(hub, "ada")
    start(ada, profile)
    (before,) = kubectl.get("pods", "-n", namespace)["items"]
    hub.kill_hub()
    hub.start_hub()
    ada.log_in()
    assert ada.open_session().ok
    (after,) = kubectl.get("pods", "-n", namespace)["items"]
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    stop_session(hub, "ada")
    assert not kubectl.get("pods", "-n", namespace)["items"]
