"""Where a session can be reached from here."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
from kubernetes_asyncio.client.rest import ApiException

from savu_spawner.cli.cluster import Cluster
from savu_spawner.cli.description import PREFIX
from savu_spawner.cli.links import entrance, new_link, new_token
from savu_spawner.cluster import serialized
from savu_spawner.contract import READY_PATH, WEB_PORT
from savu_spawner.pod.volumes import LINK_KEY
from savu_spawner.pod.web import PORT_NAME

PROBES = 5
PROBE_SECONDS = 2.0
BETWEEN_PROBES = 0.5
"""A new service is not at every machine at once."""

NODE_ADDRESSES = ("InternalIP", "ExternalIP")


@dataclass(frozen=True)
class Way:
    """How to come to a session."""

    base: str
    """``http://address:port``."""
    forward: str = ""
    """A command that has to run for it; empty if none is needed."""


async def way_to(cluster: Cluster, pod: Mapping[str, Any], probes: int = PROBES) -> Way:
    """Through the service's port on a machine; where no machine answers, a forwarded port."""
    prefix = pod["metadata"]["annotations"][PREFIX]
    bases = [f"http://{host}" for host in await _ports(cluster, pod)]
    for attempt in range(probes if bases else 0):
        if attempt:
            await asyncio.sleep(BETWEEN_PROBES)
        answers = await asyncio.gather(*(answers_at(f"{base}{prefix}") for base in bases))
        for base, answered in zip(bases, answers, strict=True):
            if answered:
                return Way(base)
    port = web_port(pod)
    name = pod["metadata"]["name"]
    return Way(
        f"http://127.0.0.1:{WEB_PORT}",
        f"kubectl port-forward --namespace {cluster.namespace} pod/{name} {WEB_PORT}:{port}",
    )


async def answers_at(url: str) -> bool:
    """Whether a session's gate says at ``url`` that it is ready, and lets nobody in for nothing."""
    timeout = aiohttp.ClientTimeout(total=PROBE_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as client,
            client.get(url + READY_PATH, allow_redirects=False) as answer,
        ):
            return answer.status == 401
    except (aiohttp.ClientError, TimeoutError, OSError):
        return False


async def key_and_time(cluster: Cluster, pod: Mapping[str, Any]) -> tuple[bytes, float]:
    """The key of a session's links, and the cluster's time in seconds since 1970."""
    secret, now = await cluster.secret_and_time(pod["metadata"]["name"])
    return base64.b64decode(secret["data"][LINK_KEY]), now


async def fresh_link(cluster: Cluster, pod: Mapping[str, Any]) -> str:
    """Path and query that let one browser in."""
    key, now = await key_and_time(cluster, pod)
    return entrance(pod["metadata"]["annotations"][PREFIX], new_link(key, now))


async def token(cluster: Cluster, pod: Mapping[str, Any]) -> str:
    """What a script sends as ``Authorization: Bearer``."""
    return new_token(*await key_and_time(cluster, pod))


def web_port(pod: Mapping[str, Any]) -> int:
    """The port on which the session's pod is served."""
    for container in pod["spec"]["containers"]:
        for port in container.get("ports") or []:
            if port.get("name") == PORT_NAME:
                return int(port["containerPort"])
    return WEB_PORT


async def _ports(cluster: Cluster, pod: Mapping[str, Any]) -> list[str]:
    """``host:port`` of the session's service, on the machine of its pod."""
    try:
        service = serialized(
            await cluster.api.read_namespaced_service(pod["metadata"]["name"], cluster.namespace)
        )
    except ApiException as error:
        if error.status == 404:
            return []
        raise
    port = service["spec"]["ports"][0].get("nodePort")
    hosts = [pod["status"].get("hostIP"), *await _addresses(cluster, pod)]
    return [f"{_bracketed(host)}:{port}" for host in _once(hosts)] if port else []


async def _addresses(cluster: Cluster, pod: Mapping[str, Any]) -> list[str]:
    """Addresses of the pod's machine, for those who may read machines."""
    try:
        node = serialized(await cluster.api.read_node(pod["spec"].get("nodeName", "")))
    except (ApiException, ValueError):
        return []
    return [
        address["address"]
        for address in node["status"].get("addresses") or []
        if address["type"] in NODE_ADDRESSES
    ]


def _once(hosts: Iterable[str | None]) -> list[str]:
    return list(dict.fromkeys(host for host in hosts if host))


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
