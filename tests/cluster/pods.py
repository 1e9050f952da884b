"""Pods of one container that runs the probe (dev/cluster/go/kubernetes/probe)."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

from kubernetes_asyncio import client, watch

IMAGE = "localhost/probe:1"
PORT = 8080


def probe(name: str, *arguments: str, labels: dict[str, str] | None = None, **spec: Any) -> Any:
    """A pod that the restricted policy admits; ``spec`` is put over what it says."""
    container = {
        "name": "probe",
        "image": IMAGE,
        "imagePullPolicy": "Never",
        "args": list(arguments),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    if arguments[0] == "serve":
        container["ports"] = [{"name": "http", "containerPort": PORT}]
        container["readinessProbe"] = {
            "httpGet": {"path": "/", "port": PORT},
            "periodSeconds": 1,
        }
    return {
        "metadata": {"name": name, "labels": labels or {}},
        "spec": {
            "restartPolicy": "Always" if arguments[0] == "serve" else "Never",
            "terminationGracePeriodSeconds": 0,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 40001,
                "runAsGroup": 40001,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
            **spec,
        },
    }


def service(name: str, labels: dict[str, str], kind: str = "ClusterIP") -> Any:
    """Port 80 of the pods with these labels."""
    return {
        "metadata": {"name": name},
        "spec": {
            "type": kind,
            "selector": labels,
            "ports": [{"port": 80, "targetPort": "http"}],
        },
    }


async def serve(
    kubernetes: client.ApiClient, namespace: str, name: str, **spec: Any
) -> client.V1Pod:
    """A probe that answers HTTP, once it is ready; labelled ``app: NAME``."""
    core = client.CoreV1Api(kubernetes)
    labels = {"app": name}
    await core.create_namespaced_pod(
        namespace, probe(name, "serve", str(PORT), labels=labels, **spec)
    )
    return await until_pod(kubernetes, namespace, name, is_ready)


async def run(
    kubernetes: client.ApiClient,
    namespace: str,
    *arguments: str,
    labels: dict[str, str] | None = None,
    **spec: Any,
) -> tuple[int, str]:
    """Exit code and output of a probe that ends by itself."""
    core = client.CoreV1Api(kubernetes)
    name = f"probe-{uuid4().hex[:8]}"
    await core.create_namespaced_pod(namespace, probe(name, *arguments, labels=labels, **spec))
    pod = await until_pod(kubernetes, namespace, name, has_ended)
    # Not decoded: the client would make Python's notation of whatever looks like JSON.
    log = await core.read_namespaced_pod_log(name, namespace, _preload_content=False)
    return pod.status.container_statuses[0].state.terminated.exit_code, await log.text()


async def identity(kubernetes: client.ApiClient, namespace: str, **spec: Any) -> dict[str, Any]:
    """Who a pod's process is."""
    code, output = await run(kubernetes, namespace, "identity", **spec)
    assert code == 0, output
    answer: dict[str, Any] = json.loads(output)
    return answer


def is_ready(pod: client.V1Pod) -> bool:
    conditions = pod.status.conditions or []
    return any(one.type == "Ready" and one.status == "True" for one in conditions)


def has_ended(pod: client.V1Pod) -> bool:
    return pod.status.phase in ("Succeeded", "Failed")


async def until_pod(
    kubernetes: client.ApiClient, namespace: str, name: str, condition: Any
) -> client.V1Pod:
    """The pod, once the condition holds of it."""
    return await until(
        client.CoreV1Api(kubernetes).list_namespaced_pod,
        condition,
        namespace,
        field_selector=f"metadata.name={name}",
    )


async def until(listing: Any, condition: Any, *arguments: Any, **options: Any) -> Any:
    """The first object of a watched list that the condition holds of; a minute at most."""
    seen = None
    async with watch.Watch() as changes:
        async for change in changes.stream(listing, *arguments, timeout_seconds=60, **options):
            seen = change["object"]
            if change["type"] != "DELETED" and condition(seen):
                return seen
    raise TimeoutError(f"Not within a minute; last seen: {seen}")
