"""The development cluster: what the command line and tests can do with it."""

from __future__ import annotations

import fcntl
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dev.cluster import cgroups, control, network, programs
from dev.cluster.errors import CannotRun, ClusterError
from dev.cluster.layout import CHECKOUT, CONTROL, MOST_NODES, Addresses, Layout, node_number
from dev.cluster.node import Node
from dev.cluster.record import Record
from dev.cluster.spaces import Space, spaces_of


class Cluster:
    """A Kubernetes of the real components, each node in namespaces of its own.

    Args:
        folder: where its state is kept; by default ``.cluster`` of this checkout. A cluster is
            known by its folder: two folders are two clusters.
        say: is told what happens, a sentence at a time.
    """

    def __init__(
        self,
        folder: Path | str = CHECKOUT / ".cluster",
        say: Callable[[str], None] = lambda text: print(text, file=sys.stderr, flush=True),
    ) -> None:
        self.layout = Layout(Path(folder).resolve())
        self._say = say
        self._control = Space(self.layout, CONTROL)

    @classmethod
    def of_kubeconfig(cls, file: Path) -> Cluster | None:
        """The development cluster, of whichever checkout, whose kubeconfig this is; or None."""
        found = cls(file.resolve().parent)
        return found if Record.read(found.layout) and found.kubeconfig == file.resolve() else None

    @property
    def kubeconfig(self) -> Path:
        """The administrator's, with all keys in it."""
        return self.layout.kubeconfig

    @property
    def kubectl(self) -> Path:
        return programs.KUBECTL

    @property
    def is_running(self) -> bool:
        return Record.read(self.layout) is not None and self._control.pid is not None

    @property
    def addresses(self) -> Addresses:
        return self._started().addresses

    @property
    def nodes(self) -> list[str]:
        return self._started().names

    # -- Start and end ----------------------------------------------------------------------------

    def up(self, nodes: int = 1, policies: bool = True) -> None:
        """Start what does not run; on return every node is Ready and DNS answers.

        Harmless on a cluster that runs: then nothing is restarted, what a fault stopped is
        started, and nodes are added up to ``nodes``.

        Args:
            policies: whether NetworkPolicy is enforced, by a test-only program.

        Raises:
            CannotRun: this machine lacks something.
            ClusterError: it did not start; the end of the log of what failed is in the text.
        """
        if not 1 <= nodes <= MOST_NODES:
            raise ClusterError(f"A cluster has 1 to {MOST_NODES} nodes, not {nodes}")
        with self._alone():
            self.layout.failure.unlink(missing_ok=True)
            try:
                programs.check_system()
                programs.build(self._say)
                self._up(nodes, policies)
            except CannotRun:
                raise
            except ClusterError as error:
                self.layout.failure.write_text(f"{error}\n")
                raise

    def _up(self, nodes: int, policies: bool) -> None:
        record = Record.read(self.layout)
        if record is None or self._control.pid is None:
            self._clear()
            for log in (*self.layout.logs.glob("*-*.log"), self.layout.audit_log):
                log.unlink(missing_ok=True)  # of a cluster that is no more
            addresses = control.found(self.layout)
            second_number = addresses.network.network_address.packed[1]
            record = Record(second_number, nodes, policies)
        record = Record(record.second_number, max(nodes, record.nodes), record.policies)
        record.keep(self.layout)
        control.start(self.layout, record.addresses)
        for node in self._nodes():
            node.start()
        self._join_nodes()
        for node in self._nodes():
            node.wait_until_ready()
        control.start_dns(self.layout, record.addresses, replicas=min(record.nodes, 2))

    def down(self) -> None:
        """End everything and remove every trace but the logs; harmless if nothing runs."""
        with self._alone():
            self._clear()
            self.layout.failure.unlink(missing_ok=True)

    def status(self) -> dict[str, Any]:
        """What runs: ``running``, ``network``, ``programs`` a space, ``nodes`` and readiness."""
        if not self.is_running:
            return {"running": False}
        record = self._started()
        api = control.api(self.layout, record.addresses)
        ready = api.nodes() if api.is_ready() else {}
        return {
            "running": True,
            "network": str(record.addresses.network),
            "policies": record.policies,
            "programs": {
                space.name: sorted(space.programs()["running"]) for space in spaces_of(self.layout)
            },
            "nodes": {name: ready.get(name, False) for name in record.names},
        }

    # -- Images -----------------------------------------------------------------------------------

    def load(self, *archives: Path | str) -> None:
        """Import docker-archives into every running node.

        An image of the same name is replaced; pods that run keep the one that they have.
        """
        with self._alone():
            for node in self._nodes():
                if node.is_running:
                    for archive in archives:
                        node.load(Path(archive).resolve())

    def images(self, node: str = "node1") -> set[str]:
        """Names of the images of a node."""
        return self._node(node).images()

    # -- Faults -----------------------------------------------------------------------------------

    def stop_api_server(self) -> None:
        """Kill it, as a crash would; what runs goes on."""
        self._control.stop_program("kube-apiserver")

    def start_api_server(self) -> None:
        """Start it if it is stopped; on return it answers."""
        control.start_api_server(self.layout, self._started().addresses)

    def stop_kubelet(self, node: str) -> None:
        """Kill a node's kubelet: the node is lost to the cluster, its containers run on."""
        self._node(node).space.stop_program("kubelet")

    def start_kubelet(self, node: str) -> None:
        """Start it if it is stopped; on return the node is Ready."""
        found = self._node(node)
        found.start_kubelet()
        found.wait_until_ready()

    def kill_node(self, node: str) -> None:
        """End everything on a node at once, as a power cut would; its disk stays."""
        with self._alone():
            self._node(node).kill()
            self._join_nodes()

    def start_node(self, node: str) -> None:
        """Switch a killed node on again; on return it is Ready."""
        with self._alone():
            found = self._node(node)
            found.start()
            self._join_nodes()
            found.wait_until_ready()

    # -- Small things -----------------------------------------------------------------------------

    def _clear(self) -> None:
        """Remove whatever is left of a cluster in this folder, however it ended; logs stay."""
        for space in spaces_of(self.layout):
            space.kill()
        network.leave(self.layout)
        cgroups.remove(self.layout.cgroup)
        for path in self.layout.folder.iterdir():
            if path in (self.layout.logs, self.layout.lock, self.layout.failure):
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()

    def _join_nodes(self) -> None:
        """Routes between the nodes that run, and from the machine to services through one."""
        record = self._started()
        running = [node_number(node.name) for node in self._nodes() if node.is_running]
        network.join_pods(self.layout, record.addresses, record.numbers, running)
        if running:
            network.route_services(self.layout, record.addresses, running[0])

    def _nodes(self) -> list[Node]:
        record = self._started()
        return [Node(self.layout, record, number) for number in record.numbers]

    def _node(self, name: str) -> Node:
        for node in self._nodes():
            if node.name == name:
                return node
        raise ClusterError(f"There is no node {name}, but {', '.join(self.nodes)}")

    def _started(self) -> Record:
        if (record := Record.read(self.layout)) is None:
            raise ClusterError(f"No cluster runs in {self.layout.folder}: make cluster")
        return record

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One change at a time; others wait."""
        programs.check_root()
        self.layout.folder.mkdir(parents=True, exist_ok=True)
        with self.layout.lock.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
