"""The control plane: etcd, the API server, the controllers and the scheduler in one space."""

from __future__ import annotations

from dev.cluster import addons, components, network, programs, settings
from dev.cluster.api import Api
from dev.cluster.authority import Authority
from dev.cluster.files import write_json
from dev.cluster.layout import CONTROL, Addresses, Layout
from dev.cluster.spaces import Space
from dev.cluster.waiting import wait_for

CLIENTS = {
    "controller-manager": "system:kube-controller-manager",
    "scheduler": "system:kube-scheduler",
    "kube-proxy": "system:kube-proxy",
    "policies": "policies",
}
"""Kubeconfigs, and the users that they are for; a node's kubelet gets its own."""


def found(layout: Layout) -> Addresses:
    """Namespaces, network and keys of a new control plane."""
    space = Space(layout, CONTROL)
    space.start()
    addresses = network.join_machine(layout, space)
    _make_keys(layout, addresses)
    write_json(layout.space(CONTROL) / "audit-policy.json", settings.audit_policy())
    return addresses


def start(layout: Layout, addresses: Addresses) -> None:
    """Start what does not run; on return the API server answers."""
    space = Space(layout, CONTROL)
    space.start_program("etcd", components.etcd(programs.KUBE))
    start_api_server(layout, addresses)
    kube = programs.KUBE
    space.start_program("kube-controller-manager", components.controller_manager(kube))
    space.start_program("kube-scheduler", components.scheduler(kube))
    for path, thing in addons.policies():
        api(layout, addresses).apply(path, thing)


def start_api_server(layout: Layout, addresses: Addresses) -> None:
    """Start it if it does not run; on return it answers."""
    space = Space(layout, CONTROL)
    space.start_program("kube-apiserver", components.api_server(programs.KUBE, addresses))
    wait_for(
        api(layout, addresses).is_ready,
        space,
        ("kube-apiserver", "etcd"),
        "The API server is not ready",
    )


def start_dns(layout: Layout, addresses: Addresses, replicas: int) -> None:
    """On return names of services resolve."""
    asked = api(layout, addresses)
    for path, thing in addons.dns(addresses, replicas):
        asked.apply(path, thing)
    wait_for(
        lambda: asked.deployment_is_available("kube-system", addons.DNS),
        Space(layout, CONTROL),
        ("kube-controller-manager", "kube-scheduler", "kube-apiserver", "etcd"),
        "The cluster's DNS is not ready",
    )


def api(layout: Layout, addresses: Addresses) -> Api:
    return Api(str(addresses.control), layout.keys)


def _make_keys(layout: Layout, addresses: Addresses) -> None:
    keys = Authority(layout.keys)
    keys.found()
    service = ("kubernetes", "kubernetes.default", "kubernetes.default.svc")
    keys.server(
        "api-server",
        [addresses.control, addresses.kubernetes, *service, f"{service[-1]}.{settings.DOMAIN}"],
    )
    keys.client("admin", "admin", "system:masters")
    url = components.api_url(addresses)
    keys.write_kubeconfig("admin", url, layout.kubeconfig)
    for name, user in CLIENTS.items():
        keys.client(name, user)
        keys.write_kubeconfig(name, url)
