"""What the configuration files of the cluster's programs say. Pure functions."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

from dev.cluster.layout import INSIDE, Addresses

CONTAINERD_SOCKET = "/run/containerd/containerd.sock"
PAUSE_IMAGE = "localhost/pause:1"
DNS_IMAGE = "localhost/coredns:1"
DOMAIN = "cluster.local"


@dataclass(frozen=True)
class Machine:
    """What differs between machines."""

    cni_folder: str
    snapshotter: str
    """``overlayfs``, or ``native`` where the state folder is itself on an overlay."""


def kubeconfig(server: str, ca: bytes, certificate: bytes, key: bytes) -> dict[str, Any]:
    """Everything that a client needs, in one file."""

    def encoded(pem: bytes) -> str:
        return base64.b64encode(pem).decode()

    name = "savu-development"
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": name,
                "cluster": {"server": server, "certificate-authority-data": encoded(ca)},
            }
        ],
        "users": [
            {
                "name": name,
                "user": {
                    "client-certificate-data": encoded(certificate),
                    "client-key-data": encoded(key),
                },
            }
        ],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }


def containerd(node: str, machine: Machine) -> str:
    """containerd's TOML. What needs CAP_SYS_RESOURCE or a loaded AppArmor is switched off."""
    return f"""\
version = 2
root = "{INSIDE.space(node)}/containerd"
state = "/run/containerd"
[grpc]
  address = "{CONTAINERD_SOCKET}"
[plugins."io.containerd.internal.v1.opt"]
  path = "/run/containerd-opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "{machine.snapshotter}"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{machine.cni_folder}"
    conf_dir = "{INSIDE.space(node)}/cni"
"""


def cni(addresses: Addresses, number: int) -> dict[str, Any]:
    """The pods' network: each a routed link of its own, so that all traffic passes the node's
    rules, whatever the machine's setting of bridge-nf-call-iptables."""
    return {
        "cniVersion": "0.4.0",
        "name": "pods",
        "plugins": [
            {
                "type": "ptp",
                "ipMasq": False,
                "ipam": {
                    "type": "host-local",
                    "ranges": [[{"subnet": str(addresses.pods_of(number))}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                    "dataDir": "/run/cni-addresses",
                },
            }
        ],
    }


def kubelet(node: str, cgroup: str, addresses: Addresses) -> dict[str, Any]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{cgroup}/{node}",
        "failSwapOn": False,
        "failCgroupV1": False,
        # Goes on where it may not set the machine's own settings, which are read-only here.
        "featureGates": {"KubeletInUserNamespace": True},
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(INSIDE.keys / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(INSIDE.keys / f"{node}-server.crt"),
        "tlsPrivateKeyFile": str(INSIDE.keys / f"{node}-server.key"),
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "podLogsDir": str(INSIDE.space(node) / "pod-logs"),
        "volumePluginDir": str(INSIDE.space(node) / "volume-plugins"),
        "resolvConf": str(INSIDE.space(node) / "resolv.conf"),
        "clusterDNS": [str(addresses.dns)],
        "clusterDomain": DOMAIN,
        # The disk is the developer's: neither may pods be evicted nor images be removed for it.
        "evictionHard": {
            "memory.available": "100Mi",
            "nodefs.available": "1%",
            "imagefs.available": "1%",
        },
        "imageGCHighThresholdPercent": 100,
        "serializeImagePulls": False,
        # A lost node shows within seconds, see the controller manager.
        "nodeLeaseDurationSeconds": 8,
    }


def audit_policy() -> dict[str, Any]:
    """Who asked for what, but not the cluster's own constant questions."""
    return {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [
            {
                "level": "None",
                "users": [
                    "system:apiserver",
                    "system:kube-controller-manager",
                    "system:kube-scheduler",
                    "system:kube-proxy",
                ],
            },
            {
                "level": "None",
                "userGroups": ["system:nodes", "system:serviceaccounts:kube-system"],
            },
            {"level": "Metadata"},
        ],
    }
