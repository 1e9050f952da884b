"""What every cluster has running in it: DNS, and the leave of the policies' enforcer to read.

Pure functions to Kubernetes objects, each with the path of its collection.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dev.cluster.layout import Addresses
from dev.cluster.settings import DNS_IMAGE, DOMAIN

Thing = tuple[str, dict[str, Any]]

CORE = "/api/v1/namespaces/kube-system"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
DNS = "coredns"
DNS_LABELS = {"k8s-app": "kube-dns"}  # the usual egress rules name it so

COREFILE = f"""\
.:53 {{
    errors
    health
    ready
    kubernetes {DOMAIN} in-addr.arpa {{
        pods insecure
        fallthrough in-addr.arpa
        ttl 5
    }}
    # There is no way out of the cluster: other names do not exist.
    template ANY ANY {{
        rcode NXDOMAIN
    }}
    cache 5
    loop
}}
"""


def dns(addresses: Addresses, replicas: int) -> Iterator[Thing]:
    account = {"kind": "ServiceAccount", "name": DNS, "namespace": "kube-system"}
    yield f"{CORE}/serviceaccounts", _thing("v1", "ServiceAccount", DNS)
    yield from _reader(
        "system:coredns",
        account,
        [
            {"apiGroups": [""], "resources": ["endpoints", "services", "pods", "namespaces"]},
            {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"]},
        ],
    )
    yield (
        f"{CORE}/configmaps",
        _thing("v1", "ConfigMap", DNS, data={"Corefile": COREFILE}),
    )
    yield (
        f"{CORE}/services",
        _thing(
            "v1",
            "Service",
            "kube-dns",
            labels=DNS_LABELS,
            spec={
                "clusterIP": str(addresses.dns),
                "selector": DNS_LABELS,
                "ports": [
                    {"name": "dns", "port": 53, "protocol": "UDP"},
                    {"name": "dns-tcp", "port": 53, "protocol": "TCP"},
                ],
            },
        ),
    )
    yield (
        "/apis/apps/v1/namespaces/kube-system/deployments",
        _thing(
            "apps/v1",
            "Deployment",
            DNS,
            labels=DNS_LABELS,
            spec={
                "replicas": replicas,
                "selector": {"matchLabels": DNS_LABELS},
                "template": {"metadata": {"labels": DNS_LABELS}, "spec": _dns_pod()},
            },
        ),
    )


def _dns_pod() -> dict[str, Any]:
    return {
        "serviceAccountName": DNS,
        "priorityClassName": "system-cluster-critical",
        "dnsPolicy": "Default",
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": DNS_LABELS},
            }
        ],
        "containers": [
            {
                "name": DNS,
                "image": DNS_IMAGE,
                "imagePullPolicy": "Never",
                "args": ["-conf", "/etc/coredns/Corefile"],
                "volumeMounts": [{"name": "config", "mountPath": "/etc/coredns"}],
                "readinessProbe": {
                    "httpGet": {"path": "/ready", "port": 8181},
                    "periodSeconds": 1,
                },
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]},
                },
            }
        ],
        "volumes": [{"name": "config", "configMap": {"name": DNS}}],
    }


def policies() -> Iterator[Thing]:
    """Leave to read for the NetworkPolicy enforcer, which comes with a certificate."""
    user = {"kind": "User", "name": "policies", "apiGroup": "rbac.authorization.k8s.io"}
    yield from _reader(
        "policies",
        user,
        [
            {"apiGroups": [""], "resources": ["pods", "namespaces"]},
            {"apiGroups": ["networking.k8s.io"], "resources": ["networkpolicies"]},
        ],
    )


def _reader(
    name: str, subject: dict[str, str], rules: list[dict[str, list[str]]]
) -> Iterator[Thing]:
    kind = "rbac.authorization.k8s.io/v1"
    verbs = ["get", "list", "watch"]
    role = _thing(kind, "ClusterRole", name, rules=[rule | {"verbs": verbs} for rule in rules])
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name}
    binding = _thing(kind, "ClusterRoleBinding", name, roleRef=reference, subjects=[subject])
    yield f"{RBAC}/clusterroles", role
    yield f"{RBAC}/clusterrolebindings", binding


def _thing(
    version: str, kind: str, name: str, labels: dict[str, str] | None = None, **fields: Any
) -> dict[str, Any]:
    metadata = {"name": name} | ({"labels": labels} if labels else {})
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **fields}
