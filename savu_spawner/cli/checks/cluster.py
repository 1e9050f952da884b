"""Whether the cluster answers, and would take a session's pod."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

import aiohttp
from kubernetes_asyncio.client import AuthorizationV1Api, VersionApi
from kubernetes_asyncio.client.rest import ApiException

from savu_spawner.cli.checks.finding import Finding
from savu_spawner.cluster import sentence_of, serialized
from savu_spawner.pod import DataVolume
from savu_spawner.spawner import SavuSpawner

NEEDED: Mapping[str, tuple[str, ...]] = {
    "pods": ("create", "get", "list", "watch", "delete"),
    "pods/log": ("get",),
    "events": ("list", "watch"),
}
"""For a session, by a hub or by this command."""

NEEDED_WITHOUT_HUB: Mapping[str, tuple[str, ...]] = {
    "secrets": ("create", "get", "delete"),
    "services": ("create", "get", "delete"),
}
"""For ``savu-spawner start`` too."""

ENFORCE = "pod-security.kubernetes.io/enforce"

RESTRICTED_VOLUMES = frozenset(
    {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "persistentVolumeClaim",
        "projected",
        "secret",
    }
)
"""What the pod security standard *restricted* allows; *baseline* refuses hostPath alone."""


async def check_cluster(
    spawner: SavuSpawner, volumes: Iterable[DataVolume]
) -> AsyncIterator[Finding]:
    """Whether the API server answers, what this account may do, what the namespace allows."""
    client: Any = spawner.api.api_client
    host = client.configuration.host
    try:
        version = await VersionApi(client).get_code(_request_timeout=10)
    except ApiException as error:
        mend = "look at KUBECONFIG, and at the account in it"
        yield Finding("FAIL", f"cluster: {host} refuses: {sentence_of(error)}", mend)
        return
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        why = str(error) or type(error).__name__
        mend = "look at KUBECONFIG, and at the network"
        yield Finding("FAIL", f"cluster: {host} cannot be reached: {why}", mend)
        return
    yield Finding("ok", f"cluster: {host} answers, Kubernetes {version.git_version}")
    try:
        async for finding in _check_permissions(spawner):
            yield finding
        yield await _check_namespace(spawner, list(volumes))
    except ApiException as error:
        yield Finding("FAIL", f"cluster: {sentence_of(error)}", "ask the cluster's administrator")


async def _check_permissions(spawner: SavuSpawner) -> AsyncIterator[Finding]:
    authorization = AuthorizationV1Api(spawner.api.api_client)

    async def missing(needed: Mapping[str, tuple[str, ...]]) -> list[str]:
        return [
            f"{verb} {resource}"
            for resource, verbs in needed.items()
            for verb in verbs
            if not await _may(authorization, spawner.namespace, verb, resource)
        ]

    where = f"in namespace {spawner.namespace}"
    if lacking := await missing(NEEDED):
        yield Finding(
            "FAIL",
            f"permissions: this account may not {', '.join(lacking)} {where}",
            "bind it to a Role with these verbs, as kubernetes/base does for the hub's account",
        )
        return
    if lacking := await missing(NEEDED_WITHOUT_HUB):
        yield Finding(
            "note",
            f"permissions: enough for a hub; “savu-spawner start” needs {', '.join(lacking)} too",
        )
        return
    yield Finding("ok", f"permissions: this account may do what is needed {where}")


async def _may(api: Any, namespace: str, verb: str, resource: str) -> bool:
    name, _, part = resource.partition("/")
    attributes = {"namespace": namespace, "verb": verb, "resource": name, "subresource": part}
    review = await api.create_self_subject_access_review(
        {"spec": {"resourceAttributes": {k: v for k, v in attributes.items() if v}}}
    )
    return bool(review.status.allowed)


async def _check_namespace(spawner: SavuSpawner, volumes: list[DataVolume]) -> Finding:
    name = spawner.namespace
    try:
        namespace = serialized(await spawner.api.read_namespace(name))
    except ApiException as error:
        if error.status == 404:
            return Finding(
                "FAIL", f"namespace: there is no {name}", f"kubectl create namespace {name}"
            )
        return Finding("note", f"namespace: {name} may not be looked at: {sentence_of(error)}")
    level = (namespace["metadata"].get("labels") or {}).get(ENFORCE, "privileged")
    refused = refusals(level, volumes, spawner.run_as)
    if refused:
        return Finding(
            "FAIL",
            f"namespace: {name} enforces the pod security standard {level}, which refuses"
            f" {', '.join(refused)}",
            "reach the data through a persistentVolumeClaim or csi volume, or label the namespace"
            f" {ENFORCE}=privileged",
        )
    return Finding("ok", f"namespace: {name} enforces {level}, which takes a session's pod")


def refusals(level: str, volumes: Iterable[DataVolume], run_as: str) -> list[str]:
    """What of a session's pod a pod security standard refuses."""
    refused = []
    for volume in volumes:
        (kind,) = volume.source
        if level == "restricted" and kind not in RESTRICTED_VOLUMES:
            refused.append(f"{volume.mount_path} ({kind})")
        if level == "baseline" and kind == "hostPath":
            refused.append(f"{volume.mount_path} ({kind})")
    if level == "restricted" and run_as == "image":
        refused.append('run_as = "image"')
    return refused


async def dry_run(spawner: SavuSpawner, pod: Any) -> Finding:
    """Whether the API server, with all its admission rules, would take this pod."""
    try:
        await spawner.api.create_namespaced_pod(spawner.namespace, pod, dry_run="All")
    except ApiException as error:
        if error.status == 409:
            return Finding("ok", "pod: the cluster has one of that name already")
        return Finding(
            "FAIL", f"pod: the cluster refuses it: {sentence_of(error)}", "change what it names"
        )
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        return Finding("FAIL", f"pod: the cluster cannot be reached: {error}")
    return Finding("ok", "pod: the cluster would take it (dry run)")
