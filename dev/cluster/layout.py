"""Where a cluster keeps what, and what its things on the machine are called.

Every name is derived from the checkout's path, so that clusters of several checkouts stand side by
side and each finds its own leftovers again.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
PROGRAMS = CHECKOUT / ".cache" / "cluster"
"""What was built; shared by whatever runs from this checkout and kept by ``make cluster-down``."""

CONTROL = "control"
"""The space of etcd, the API server, the controllers and the scheduler; no pod runs there."""

MOST_NODES = 16

SUPERVISOR_SOCKET = Path("/run/supervisor.sock")
"""Where the first process of a space takes requests, in that space."""


def node_name(number: int) -> str:
    """Name of a node, counted from 1."""
    return f"node{number}"


def node_number(name: str) -> int:
    return int(name.removeprefix("node"))


@dataclass(frozen=True)
class Layout:
    """Folder of one cluster, and the names derived from it."""

    folder: Path

    @cached_property
    def name(self) -> str:
        """Of the machine's link and cgroups; at most 15 bytes, a link's limit."""
        return "savu-" + hashlib.sha256(str(self.folder).encode()).hexdigest()[:8]

    @property
    def cgroup(self) -> str:
        return self.name

    @property
    def record(self) -> Path:
        return self.folder / "cluster.json"

    @property
    def lock(self) -> Path:
        return self.folder / "lock"

    @property
    def failure(self) -> Path:
        """Why the last start failed; absent after one that did not."""
        return self.folder / "failure"

    @property
    def logs(self) -> Path:
        return self.folder / "log"

    @property
    def audit_log(self) -> Path:
        """Who asked the API server for what."""
        return self.logs / "audit.log"

    @property
    def keys(self) -> Path:
        return self.folder / "keys"

    @property
    def images(self) -> Path:
        return self.folder / "images"

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    def space(self, name: str) -> Path:
        """State folder of the control space or of a node."""
        return self.folder / name

    def log(self, space: str, component: str) -> Path:
        return self.logs / f"{space}-{component}.log"


INSIDE = Layout(Path("/run/cluster"))
"""The cluster's folder as programs in its spaces see it: short, for socket paths end at 107
bytes."""


@dataclass(frozen=True)
class Addresses:
    """How a cluster's /16 is divided."""

    network: IPv4Network

    @classmethod
    def number(cls, second: int) -> Addresses:
        return cls(IPv4Network(f"10.{second}.0.0/16"))

    def _at(self, third: int, fourth: int) -> IPv4Address:
        return self.network.network_address + third * 256 + fourth

    @property
    def services(self) -> IPv4Network:
        return IPv4Network((self.network.network_address, 20))

    @property
    def kubernetes(self) -> IPv4Address:
        """The API server, as pods know it."""
        return self._at(0, 1)

    @property
    def dns(self) -> IPv4Address:
        return self._at(0, 10)

    @property
    def machines(self) -> IPv4Network:
        """Nodes, the API server and the machine itself, on one virtual switch."""
        return IPv4Network((self._at(16, 0), 24))

    @property
    def control(self) -> IPv4Address:
        return self._at(16, 1)

    @property
    def host(self) -> IPv4Address:
        return self._at(16, 254)

    def node(self, number: int) -> IPv4Address:
        return self._at(16, 10 + number)

    @property
    def pods(self) -> IPv4Network:
        return IPv4Network((self._at(32, 0), 19))

    def pods_of(self, number: int) -> IPv4Network:
        return IPv4Network((self._at(32 + number, 0), 24))

    def mac(self, number: int) -> str:
        """Of a node's link: the same after a restart, or neighbours would ask the old one."""
        second = self.network.network_address.packed[1]
        return f"02:5a:00:00:{second:02x}:{number:02x}"
