"""The links and routes that join a cluster's spaces to each other and to the machine.

A virtual switch in the control space holds a link to each node and one to the machine, whose end is
all that the machine sees: one link, one address, and routes to the cluster's own ranges. No space
has a default route: nothing that a pod sends leaves the machine.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Network

from dev.cluster.errors import CannotRun, ClusterError
from dev.cluster.layout import Addresses, Layout, node_name
from dev.cluster.spaces import Space
from dev.cluster.tools import run

RANGES = range(200, 250)
"""Second numbers of the 10.N.0.0/16 that clusters take: seldom used, and one for each cluster."""


def join_machine(layout: Layout, control: Space) -> Addresses:
    """Make the switch and the machine's link to it, in the first free range."""
    pid = control.start()
    with _one_at_a_time():
        addresses = _free_range(layout)
        control.run(
            "ip",
            "-batch",
            "-",
            text=f"""\
link set lo up
link add switch type bridge
address add {addresses.control}/{addresses.machines.prefixlen} dev switch
link set switch up
""",
        )
        run(
            "ip",
            "link",
            "add",
            layout.name,
            "type",
            "veth",
            "peer",
            "name",
            "machine",
            "netns",
            str(pid),
        )
        control.run("ip", "link", "set", "machine", "master", "switch", "up")
        run(
            "ip",
            "address",
            "add",
            f"{addresses.host}/{addresses.machines.prefixlen}",
            "dev",
            layout.name,
        )
        run("ip", "link", "set", layout.name, "up")
    return addresses


def join_node(layout: Layout, addresses: Addresses, control: Space, number: int) -> None:
    """Make a node's link to the switch, and everybody's routes to its pods."""
    name = node_name(number)
    node = Space(layout, name)
    pid = node.start()
    if "eth0" in node.run("ip", "-brief", "link"):
        return
    peer = f"peer name eth0 address {addresses.mac(number)} netns {pid}"
    control.run("ip", "link", "add", name, "type", "veth", *peer.split())
    control.run("ip", "link", "set", name, "master", "switch", "up")
    own = addresses.node(number)
    node.run(
        "ip",
        "-batch",
        "-",
        text=f"""\
link set lo up
address add {own}/{addresses.machines.prefixlen} dev eth0
link set eth0 up
route add {addresses.services} dev eth0
""",
    )
    # The same for all who are there already, and for this one theirs.
    to_its_pods = ("ip", "route", "replace", str(addresses.pods_of(number)), "via", str(own))
    control.run(*to_its_pods)
    run(*to_its_pods, "dev", layout.name)


def route_services(layout: Layout, addresses: Addresses, number: int) -> None:
    """Let the machine reach services through this node."""
    via = str(addresses.node(number))
    run("ip", "route", "replace", str(addresses.services), "via", via, "dev", layout.name)


def join_pods(layout: Layout, addresses: Addresses, numbers: list[int], running: list[int]) -> None:
    """Give every running node its routes to the other nodes' pods."""
    for number in running:
        routes = [
            f"route replace {addresses.pods_of(other)} via {addresses.node(other)}\n"
            for other in numbers
            if other != number
        ]
        Space(layout, node_name(number)).run("ip", "-batch", "-", text="".join(routes))


def leave(layout: Layout) -> None:
    """Remove the machine's link, and with it its routes; harmless if there is none."""
    with contextlib.suppress(ClusterError):
        run("ip", "link", "delete", layout.name)


def _free_range(layout: Layout) -> Addresses:
    """The range that this cluster had before if nobody took it, else the next free one."""
    taken = [
        IPv4Network(route["dst"], strict=False)
        for route in json.loads(run("ip", "-json", "-4", "route", "show", "table", "all"))
        if "." in route["dst"]
    ]
    first = int(layout.name.rpartition("-")[2], 16) % len(RANGES)
    for offset in range(len(RANGES)):
        candidate = Addresses.number(RANGES[(first + offset) % len(RANGES)])
        if not any(candidate.network.overlaps(network) for network in taken):
            return candidate
    raise CannotRun(
        f"No free range of addresses: 10.{RANGES[0]}–{RANGES[-1]}.0.0/16 are all routed"
    )


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Among the clusters of a machine; a lock on a folder leaves no file behind."""
    descriptor = os.open("/run", os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
