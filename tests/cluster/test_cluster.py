"""The development cluster does what a Kubernetes does, breaks on demand and leaves nothing."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from kubernetes_asyncio import client

from dev.cluster import Cluster, ClusterError, components, tools
from dev.cluster.control import api
from dev.cluster.traces import traces
from tests.cluster.conftest import connected, make_namespace
from tests.cluster.pods import (
    identity,
    is_ready,
    probe,
    run,
    serve,
    service,
    until,
    until_pod,
)

PATIENCE = 60
"""Seconds after which something that needs a moment never comes."""


@pytest.fixture(scope="module", autouse=True)
def probe_is_loaded(driver: Cluster, image: Path) -> None:
    driver.load(image)


async def test_every_node_is_ready(driver: Cluster, kubernetes: client.ApiClient) -> None:
    nodes = (await client.CoreV1Api(kubernetes).list_node()).items
    assert sorted(node.metadata.name for node in nodes) == driver.nodes
    assert all(is_ready(node) for node in nodes)
    assert {node.status.node_info.kubelet_version for node in nodes} == {"v1.34.2"}


async def test_a_pod_runs_as_any_user_and_groups(
    kubernetes: client.ApiClient, namespace: str
) -> None:
    who = await identity(
        kubernetes,
        namespace,
        securityContext={
            "runAsUser": 37123,
            "runAsGroup": 50001,
            "supplementalGroups": [60002, 60003],
        },
    )
    assert (who["uid"], who["gid"]) == (37123, 50001)
    assert {60002, 60003} <= set(who["groups"])


async def test_a_read_only_root_cannot_be_written(
    kubernetes: client.ApiClient, namespace: str
) -> None:
    root = {"securityContext": {"runAsUser": 0, "runAsNonRoot": False}}
    code, output = await run(kubernetes, namespace, "write", "/file", **root)
    assert (code, "read-only file system" in output) == (1, True), output


async def test_the_restricted_policy_is_enforced(
    kubernetes: client.ApiClient, namespace: str
) -> None:
    core = client.CoreV1Api(kubernetes)
    label = {"pod-security.kubernetes.io/enforce": "restricted"}
    await core.patch_namespace(namespace, {"metadata": {"labels": label}})
    await core.create_namespaced_pod(namespace, probe("good", "identity"), dry_run="All")
    with pytest.raises(client.ApiException) as refused:
        await core.create_namespaced_pod(
            namespace, probe("bad", "identity", hostNetwork=True), dry_run="All"
        )
    assert refused.value.status == 403
    assert "hostNetwork" in refused.value.body


async def test_the_name_of_a_service_resolves(kubernetes: client.ApiClient, namespace: str) -> None:
    core = client.CoreV1Api(kubernetes)
    made = await core.create_namespaced_service(namespace, service("named", {"app": "nobody"}))
    code, output = await _until_it_exits(
        0, kubernetes, namespace, "resolve", f"named.{namespace}.svc.cluster.local"
    )
    assert (code, output.split()) == (0, [made.spec.cluster_ip])


async def test_names_outside_the_cluster_do_not_exist(
    kubernetes: client.ApiClient, namespace: str
) -> None:
    code, output = await run(kubernetes, namespace, "resolve", "facility.example.")
    assert code == 1
    assert "no such host" in output


async def test_pods_of_every_node_reach_a_service(
    driver: Cluster, kubernetes: client.ApiClient, namespace: str
) -> None:
    core = client.CoreV1Api(kubernetes)
    await serve(kubernetes, namespace, "server", nodeName=driver.nodes[-1])
    await core.create_namespaced_service(namespace, service("server", {"app": "server"}))
    for node in driver.nodes:
        code, output = await _until_it_exits(
            0, kubernetes, namespace, "get", "http://server/", nodeName=node
        )
        assert code == 0, output


async def test_a_node_port_answers_the_machine(
    driver: Cluster, kubernetes: client.ApiClient, namespace: str
) -> None:
    core = client.CoreV1Api(kubernetes)
    await serve(kubernetes, namespace, "server")
    made = await core.create_namespaced_service(
        namespace, service("server", {"app": "server"}, "NodePort")
    )
    address = driver.addresses.node(1)
    answer = await _get(f"http://{address}:{made.spec.ports[0].node_port}/")
    assert answer["uid"] == 40001


async def test_the_machine_reaches_pods_and_services(
    kubernetes: client.ApiClient, namespace: str
) -> None:
    core = client.CoreV1Api(kubernetes)
    pod = await serve(kubernetes, namespace, "server")
    made = await core.create_namespaced_service(namespace, service("server", {"app": "server"}))
    assert await _get(f"http://{pod.status.pod_ip}:8080/")
    assert await _get(f"http://{made.spec.cluster_ip}/")


async def test_pods_cannot_leave_the_cluster(
    driver: Cluster, kubernetes: client.ApiClient, namespace: str
) -> None:
    # 192.0.2.0/24 is for documentation: the packet is refused by the node, not sent and lost.
    code, output = await run(kubernetes, namespace, "get", "http://192.0.2.77/")
    assert code == 1
    assert "unreachable" in output or "no route" in output, output


async def test_a_denied_connection_stays_denied(
    driver: Cluster, kubernetes: client.ApiClient, namespace: str
) -> None:
    pod = await serve(kubernetes, namespace, "server")
    url = f"http://{pod.status.pod_ip}:8080/"
    for node in driver.nodes:
        assert (await run(kubernetes, namespace, "get", url, nodeName=node))[0] == 0

    await client.NetworkingV1Api(kubernetes).create_namespaced_network_policy(
        namespace,
        {
            "metadata": {"name": "friends-only"},
            "spec": {
                "podSelector": {"matchLabels": {"app": "server"}},
                "policyTypes": ["Ingress"],
                "ingress": [
                    {
                        "from": [{"podSelector": {"matchLabels": {"role": "friend"}}}],
                        "ports": [{"port": "http"}],
                    }
                ],
            },
        },
    )
    for node in driver.nodes:
        await _until_it_exits(1, kubernetes, namespace, "get", url, nodeName=node)
    for node in driver.nodes:
        # A new pod is known to the rules a moment later, so that a friend may be early.
        friend = {"role": "friend"}
        code, output = await _until_it_exits(
            0, kubernetes, namespace, "get", url, nodeName=node, labels=friend
        )
        assert code == 0, output
        assert (await run(kubernetes, namespace, "get", url, nodeName=node))[0] == 1
    # The kubelet's probes are not a pod's: it stays ready.
    assert is_ready(await client.CoreV1Api(kubernetes).read_namespaced_pod("server", namespace))


async def test_a_pod_may_be_left_nothing_but_dns(
    driver: Cluster, kubernetes: client.ApiClient, namespace: str
) -> None:
    pod = await serve(kubernetes, namespace, "server")
    await client.NetworkingV1Api(kubernetes).create_namespaced_network_policy(
        namespace,
        {
            "metadata": {"name": "dns-only"},
            "spec": {
                "podSelector": {"matchLabels": {"app": "bound"}},
                "policyTypes": ["Egress"],
                "egress": [
                    {
                        "to": [
                            {
                                "namespaceSelector": {},
                                "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
                            }
                        ],
                        "ports": [{"port": 53, "protocol": "UDP"}],
                    }
                ],
            },
        },
    )
    # One that lives: a new pod is open until its rules are written.
    await serve(kubernetes, namespace, "bound")

    async def bound(*arguments: str) -> tuple[int, str]:
        return await _exec(driver, namespace, "bound", *arguments)

    to_pod = ("get", f"http://{pod.status.pod_ip}:8080/")
    deadline = time.monotonic() + PATIENCE
    while "deadline exceeded" not in (await bound(*to_pod))[1]:
        assert time.monotonic() < deadline, "the policy was never enforced"
    assert (await bound("get", f"https://{driver.addresses.kubernetes}/"))[0] != 0
    code, output = await bound("resolve", "kubernetes.default.svc.cluster.local")
    assert (code, output.strip()) == (0, str(driver.addresses.kubernetes))
    assert (await run(kubernetes, namespace, *to_pod))[0] == 0


async def test_an_admission_policy_is_enforced(
    kubernetes: client.ApiClient, namespace: str
) -> None:
    admission = client.AdmissionregistrationV1Api(kubernetes)
    core = client.CoreV1Api(kubernetes)
    name = f"no-low-uid-{uuid4().hex[:8]}"
    await admission.create_validating_admission_policy(
        {
            "metadata": {"name": name},
            "spec": {
                "matchConstraints": {
                    "resourceRules": [
                        {
                            "apiGroups": [""],
                            "apiVersions": ["v1"],
                            "operations": ["CREATE"],
                            "resources": ["pods"],
                        }
                    ]
                },
                "validations": [
                    {
                        "expression": "object.spec.securityContext.runAsUser >= 1000",
                        "message": "that uid is a service's",
                    }
                ],
            },
        }
    )
    try:
        await admission.create_validating_admission_policy_binding(
            {
                "metadata": {"name": name},
                "spec": {
                    "policyName": name,
                    "validationActions": ["Deny"],
                    "matchResources": {
                        "namespaceSelector": {
                            "matchLabels": {"kubernetes.io/metadata.name": namespace}
                        }
                    },
                },
            }
        )
        low = probe("low", "identity", securityContext={"runAsUser": 12})
        assert "that uid is a service's" in await _until_refused(core, namespace, low)
        await core.create_namespaced_pod(namespace, probe("high", "identity"), dry_run="All")
    finally:
        await admission.delete_validating_admission_policy(name)


# -- Faults ---------------------------------------------------------------------------------------


async def test_pods_live_on_while_the_api_server_is_stopped(
    fragile_cluster: Cluster, image: Path
) -> None:
    fragile_cluster.load(image)
    async with _namespace_of(fragile_cluster) as (kubernetes, namespace):
        pod = await serve(kubernetes, namespace, "server")
        await asyncio.to_thread(fragile_cluster.stop_api_server)
        with pytest.raises(ClusterError):
            api(fragile_cluster.layout, fragile_cluster.addresses).ask("GET", "/readyz")
        assert await _get(f"http://{pod.status.pod_ip}:8080/")
        await asyncio.to_thread(fragile_cluster.start_api_server)
        after = await client.CoreV1Api(kubernetes).read_namespaced_pod("server", namespace)
        assert after.metadata.uid == pod.metadata.uid
        assert after.status.container_statuses[0].restart_count == 0


async def test_a_silent_kubelet_loses_its_node_and_gets_it_back(fragile_cluster: Cluster) -> None:
    async with connected(fragile_cluster.kubeconfig) as kubernetes:
        await asyncio.to_thread(fragile_cluster.stop_kubelet, "node2")
        await _until_node(kubernetes, "node2", lambda node: not is_ready(node))
        await asyncio.to_thread(fragile_cluster.start_kubelet, "node2")
        await _until_node(kubernetes, "node2", is_ready)


async def test_a_killed_node_loses_its_pods_and_comes_back(
    fragile_cluster: Cluster, image: Path
) -> None:
    fragile_cluster.load(image)
    async with _namespace_of(fragile_cluster) as (kubernetes, namespace):
        await serve(kubernetes, namespace, "doomed", nodeName="node2")
        await serve(kubernetes, namespace, "spared", nodeName="node1")
        await asyncio.to_thread(fragile_cluster.kill_node, "node2")
        await until_pod(
            kubernetes,
            namespace,
            "doomed",
            lambda pod: pod.metadata.deletion_timestamp is not None,
        )
        await asyncio.to_thread(fragile_cluster.start_node, "node2")
        await _until_node(kubernetes, "node2", is_ready)
        again = await serve(kubernetes, namespace, "again", nodeName="node2")
        assert await _get(f"http://{again.status.pod_ip}:8080/")
        spared = await client.CoreV1Api(kubernetes).read_namespaced_pod("spared", namespace)
        assert spared.status.container_statuses[0].restart_count == 0


# -- Start and end --------------------------------------------------------------------------------


async def test_a_second_start_changes_nothing(driver: Cluster) -> None:
    before = driver.status()
    kubeconfig = driver.kubeconfig.read_bytes()
    await asyncio.to_thread(driver.up)
    assert driver.status() == before
    assert driver.kubeconfig.read_bytes() == kubeconfig


async def test_what_a_killed_cluster_left_is_cleaned_by_the_next_start(
    fragile_cluster: Cluster,
) -> None:
    for process in traces(fragile_cluster.layout)["processes"]:
        with contextlib.suppress(ProcessLookupError):  # its space's first one took it along
            os.kill(int(process.split()[0]), signal.SIGKILL)
    assert traces(fragile_cluster.layout)["cgroups"]
    await asyncio.to_thread(fragile_cluster.up)
    assert fragile_cluster.status()["nodes"] == {"node1": True}


async def test_the_end_leaves_nothing(
    driver: Cluster, fragile_cluster: Cluster, image: Path
) -> None:
    other = driver.status()
    machine = _settings_of_the_machine()
    fragile_cluster.load(image)
    async with _namespace_of(fragile_cluster) as (kubernetes, namespace):
        await serve(kubernetes, namespace, "server")
        found = traces(fragile_cluster.layout)
        assert all(found.values()), found
    await asyncio.to_thread(fragile_cluster.down)
    left = traces(fragile_cluster.layout, found["processes"])
    assert left == {kind: [] for kind in found}
    assert _settings_of_the_machine() == machine
    assert driver.status() == other


async def test_a_failed_start_says_what_failed_and_can_be_removed(
    driver: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = Cluster(tmp_path / "cluster")
    broken = ["sh", "-c", "echo the disk is full; exit 3"]
    monkeypatch.setattr(components, "etcd", lambda kube: broken)
    try:
        with pytest.raises(ClusterError) as failed:
            await asyncio.to_thread(cluster.up)
        assert "etcd of control ended with exit code 3" in str(failed.value)
        assert "the disk is full" in str(failed.value)
        assert cluster.layout.failure.read_text().strip() == str(failed.value)
    finally:
        await asyncio.to_thread(cluster.down)
    assert not any(traces(cluster.layout).values())


def test_a_cluster_of_ones_own_is_used_instead(tmp_path: Path) -> None:
    said = subprocess.run(
        [sys.executable, "-m", "dev.cluster", "--folder", tmp_path / "none", "up"],
        env=os.environ | {"KUBECONFIG": "/home/somebody/.kube/config"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "using that cluster (/home/somebody/.kube/config)" in said
    assert not (tmp_path / "none").exists()


# -- Small things ---------------------------------------------------------------------------------


async def _until_it_exits(
    wanted: int, kubernetes: client.ApiClient, namespace: str, *arguments: str, **spec: object
) -> tuple[int, str]:
    """What a probe said when it ended as wanted: rules and services take effect after a moment."""
    deadline = time.monotonic() + PATIENCE
    while True:
        code, output = await run(kubernetes, namespace, *arguments, **spec)
        if code == wanted:
            return code, output
        assert time.monotonic() < deadline, f"{arguments} ended with {code}: {output}"


async def _exec(driver: Cluster, namespace: str, pod: str, *arguments: str) -> tuple[int, str]:
    """Exit code and output of a further probe in a pod that runs."""
    process = await asyncio.create_subprocess_exec(
        driver.kubectl,
        f"--kubeconfig={driver.kubeconfig}",
        *("exec", f"--namespace={namespace}", pod, "--", "/probe", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()


async def _until_refused(core: client.CoreV1Api, namespace: str, pod: object) -> str:
    """The refusal of a pod: the API server takes up a new policy when it next looks."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            await core.create_namespaced_pod(namespace, pod, dry_run="All")
        except client.ApiException as refused:
            return str(refused.body)
        await asyncio.sleep(0.2)
    raise TimeoutError("The pod was never refused")


async def _get(url: str) -> dict[str, object]:
    """The probe's answer, once it gives one."""
    deadline = time.monotonic() + PATIENCE
    async with httpx.AsyncClient(trust_env=False, timeout=5) as http:
        while True:
            try:
                return dict((await http.get(url)).raise_for_status().json())
            except httpx.TransportError:
                assert time.monotonic() < deadline, f"{url} does not answer"
                await asyncio.sleep(0.1)


async def _until_node(kubernetes: client.ApiClient, name: str, condition: object) -> None:
    core = client.CoreV1Api(kubernetes)
    await until(core.list_node, condition, field_selector=f"metadata.name={name}")


@asynccontextmanager
async def _namespace_of(cluster: Cluster) -> AsyncIterator[tuple[client.ApiClient, str]]:
    async with connected(cluster.kubeconfig) as kubernetes:
        name = f"test-{uuid4().hex[:10]}"
        await make_namespace(kubernetes, name)
        yield kubernetes, name


def _settings_of_the_machine() -> dict[str, str]:
    """What a kubelet or kube-proxy of the machine itself would change."""
    settings = {
        str(file): file.read_text()
        for file in (
            Path("/proc/sys/kernel/panic"),
            Path("/proc/sys/kernel/panic_on_oops"),
            Path("/proc/sys/vm/overcommit_memory"),
            Path("/proc/sys/vm/panic_on_oom"),
            Path("/proc/sys/net/ipv4/ip_forward"),
        )
    }
    outside = ("/var/lib/cni", "/var/lib/kubelet", "/var/log/containers", "/opt/containerd")
    there = {path: str(Path(path).exists()) for path in (*outside, "/run/containerd")}
    return settings | there | {"nftables": tools.run("nft", "list", "ruleset")}
