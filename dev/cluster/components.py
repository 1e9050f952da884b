"""Command lines of the cluster's programs. Pure functions of layout and addresses."""

from __future__ import annotations

from pathlib import Path

from dev.cluster.layout import CONTROL, INSIDE, Addresses, node_name

ETCD = "http://127.0.0.1:2379"
API_PORT = 6443
LOST_AFTER_SECONDS = 8
"""A node that is silent for so long is lost; 40 by Kubernetes' default."""
EVICTED_AFTER_SECONDS = 5
"""Its pods are deleted so long after; 300 by Kubernetes' default."""


def api_url(addresses: Addresses) -> str:
    return f"https://{addresses.control}:{API_PORT}"


def etcd(kube: Path) -> list[str]:
    return [
        *(str(kube), "etcd", f"--data-dir={INSIDE.space(CONTROL)}/etcd"),
        *(f"--listen-client-urls={ETCD}", f"--advertise-client-urls={ETCD}"),
        *("--listen-peer-urls=http://127.0.0.1:2380", "--log-level=warn"),
        "--unsafe-no-fsync",  # a test cluster's data need not outlive a power cut
    ]


def api_server(kube: Path, addresses: Addresses) -> list[str]:
    keys = INSIDE.keys
    return [
        *(str(kube), "kube-apiserver", f"--etcd-servers={ETCD}"),
        *(f"--secure-port={API_PORT}", f"--advertise-address={addresses.control}"),
        *(f"--service-cluster-ip-range={addresses.services}", "--allow-privileged=true"),
        *("--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction"),
        *(f"--client-ca-file={keys}/ca.crt", f"--tls-cert-file={keys}/api-server.crt"),
        f"--tls-private-key-file={keys}/api-server.key",
        f"--service-account-key-file={keys}/accounts.key",
        f"--service-account-signing-key-file={keys}/accounts.key",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--kubelet-client-certificate={keys}/admin.crt",
        f"--kubelet-client-key={keys}/admin.key",
        f"--kubelet-certificate-authority={keys}/ca.crt",
        # Names of nodes are in no DNS; services are routed only where a kube-proxy is.
        *("--kubelet-preferred-address-types=InternalIP", "--enable-aggregator-routing=true"),
        f"--default-not-ready-toleration-seconds={EVICTED_AFTER_SECONDS}",
        f"--default-unreachable-toleration-seconds={EVICTED_AFTER_SECONDS}",
        *(f"--audit-policy-file={INSIDE.space(CONTROL)}/audit-policy.json",),
        *(f"--audit-log-path={INSIDE.audit_log}", "--audit-log-maxsize=50"),
        "--audit-log-maxbackup=1",
    ]


def controller_manager(kube: Path) -> list[str]:
    return [
        *(str(kube), "kube-controller-manager", "--leader-elect=false"),
        f"--kubeconfig={INSIDE.keys}/controller-manager.kubeconfig",
        f"--service-account-private-key-file={INSIDE.keys}/accounts.key",
        *(f"--root-ca-file={INSIDE.keys}/ca.crt", "--use-service-account-credentials=true"),
        f"--flex-volume-plugin-dir={INSIDE.space(CONTROL)}/volume-plugins",
        f"--node-monitor-grace-period={LOST_AFTER_SECONDS}s",
        *("--node-monitor-period=1s", "--pvclaimbinder-sync-period=1s"),
    ]


def scheduler(kube: Path) -> list[str]:
    return [
        *(str(kube), "kube-scheduler", "--leader-elect=false"),
        f"--kubeconfig={INSIDE.keys}/scheduler.kubeconfig",
    ]


def containerd(number: int) -> list[str]:
    return ["containerd", "--config", f"{INSIDE.space(node_name(number))}/containerd.toml"]


def kubelet(kube: Path, addresses: Addresses, number: int) -> list[str]:
    name = node_name(number)
    return [
        *(str(kube), "kubelet", f"--hostname-override={name}"),
        *(f"--config={INSIDE.space(name)}/kubelet.json",),
        *(f"--kubeconfig={INSIDE.keys}/{name}.kubeconfig",),
        *(f"--root-dir={INSIDE.space(name)}/kubelet", f"--node-ip={addresses.node(number)}"),
    ]


def kube_proxy(kube: Path, addresses: Addresses, number: int) -> list[str]:
    return [
        *(str(kube), "kube-proxy", "--proxy-mode=nftables"),
        *(f"--kubeconfig={INSIDE.keys}/kube-proxy.kubeconfig",),
        *(f"--hostname-override={node_name(number)}", f"--cluster-cidr={addresses.pods}"),
        "--nodeport-addresses=primary",
        # Settings of the whole machine: left alone.
        *("--conntrack-max-per-core=0", "--conntrack-tcp-timeout-established=0"),
        "--conntrack-tcp-timeout-close-wait=0",
    ]


def policies(program: Path, number: int) -> list[str]:
    return [str(program), f"{INSIDE.keys}/policies.kubeconfig", node_name(number)]
