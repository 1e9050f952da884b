"""Every manifest that the tests keep, and what an API server says of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes_asyncio.client import ApiClient, CoreV1Api
from kubernetes_asyncio.client.rest import ApiException

GOLDEN = Path(__file__).parents[1] / "unit/golden"
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}


def manifest(name: str) -> Any:
    pod = yaml.safe_load((GOLDEN / f"{name}.yaml").read_text())
    # Names a priority class or an account of the site's, which this cluster does not have.
    for field in ("serviceAccountName", "priorityClassName"):
        pod["spec"].pop(field, None)
    return pod


@pytest.mark.parametrize("name", sorted(path.stem for path in GOLDEN.glob("*.yaml")))
async def test_a_manifest_is_taken_by_the_api_server(
    kubernetes: ApiClient, namespace: str, name: str
) -> None:
    core = CoreV1Api(kubernetes)
    pod = await core.create_namespaced_pod(
        namespace, manifest(name), dry_run="All", field_validation="Strict"
    )
    assert [container.name for container in pod.spec.containers][:4] == [
        "web",
        "gate",
        "api",
        "dataserver",
    ]


@pytest.fixture
async def restricted(kubernetes: ApiClient, namespace: str) -> str:
    """A namespace with the strictest standard of Pod Security."""
    await CoreV1Api(kubernetes).patch_namespace(namespace, {"metadata": {"labels": RESTRICTED}})
    return namespace


async def test_with_a_claim_a_session_passes_the_restricted_standard(
    kubernetes: ApiClient, restricted: str
) -> None:
    core = CoreV1Api(kubernetes)
    assert await core.create_namespaced_pod(restricted, manifest("claim"), dry_run="All")


async def test_a_host_path_is_all_that_the_restricted_standard_has_against_one(
    kubernetes: ApiClient, restricted: str
) -> None:
    core, pod = CoreV1Api(kubernetes), manifest("host-path-with-automounter")
    with pytest.raises(ApiException, match="restricted volume types"):
        await core.create_namespaced_pod(restricted, pod, dry_run="All")
    claim = {"persistentVolumeClaim": {"claimName": "dls"}}
    pod["spec"]["volumes"] = [
        {"name": volume["name"], **claim} if volume.keys() & {"hostPath", "nfs"} else volume
        for volume in pod["spec"]["volumes"]
    ]
    assert await core.create_namespaced_pod(restricted, pod, dry_run="All")


async def test_images_that_take_the_identity_are_refused_by_the_restricted_standard(
    kubernetes: ApiClient, restricted: str
) -> None:
    core, pod = CoreV1Api(kubernetes), manifest("images-take-the-identity")
    with pytest.raises(ApiException, match="runAsNonRoot"):
        await core.create_namespaced_pod(restricted, pod, dry_run="All")
