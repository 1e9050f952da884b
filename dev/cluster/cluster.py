"""The development cluster: what the command line and tests can do with it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dev.cluster import (
    addons,
    authority,
    cgroups,
    components,
    images,
    network,
    programs,
    settings,
)
from dev.cluster.api import Api
from dev.cluster.errors import CannotRun, ClusterError
from dev.cluster.layout import (
    CHECKOUT,
    CONTROL,
    MOST_NODES,
    Addresses,
    Layout,
    node_name,
    node_number,
)
from dev.cluster.spaces import Space, spaces_of
from dev.cluster.tools import run

READY_SECONDS = 180
"""Longer than any start takes, even on a busy machine: what is not ready then never will be."""


@dataclass(frozen=True)
class Record:
    """What was started; kept in the state folder."""

    second_number: int
    nodes: int
    policies: bool

    @property
    def addresses(self) -> Addresses:
        return Addresses.number(self.second_number)

    @property
    def numbers(self) -> list[int]:
        return list(range(1, self.nodes + 1))


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
        return found if found._record() is not None and found.kubeconfig == file.resolve() else None

    @property
    def kubeconfig(self) -> Path:
        """The administrator's, with all keys in it."""
        return self.layout.kubeconfig

    @property
    def kubectl(self) -> Path:
        return programs.KUBECTL

    @property
    def is_running(self) -> bool:
        return self._record() is not None and self._control.pid is not None

    @property
    def addresses(self) -> Addresses:
        return self._started().addresses

    @property
    def nodes(self) -> list[str]:
        return [node_name(number) for number in self._started().numbers]

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
        record = self._record()
        if record is None or self._control.pid is None:
            self._clear()
            record = self._found(nodes, policies)
        record = Record(record.second_number, max(nodes, record.nodes), record.policies)
        self._keep(record)
        self._start_control(record)
        for number in record.numbers:
            self._start_node(record, number)
        network.join_pods(self.layout, record.addresses, record.numbers)
        self._await_nodes(record)
        for path, thing in addons.dns(record.addresses, min(record.nodes, 2)):
            self._api.apply(path, thing)
        self._await(
            Space(self.layout, node_name(1)),
            ("kubelet",),
            lambda: self._api.deployment_is_available("kube-system", addons.DNS),
            "The cluster's DNS is not ready",
        )

    def down(self) -> None:
        """End everything and remove every trace but the logs; harmless if nothing runs."""
        with self._alone():
            self._clear()
            self.layout.failure.unlink(missing_ok=True)

    def status(self) -> dict[str, Any]:
        """What runs: ``running``, ``network``, ``programs`` a space, ``nodes`` and readiness."""
        record = self._record()
        if record is None or self._control.pid is None:
            return {"running": False}
        ready = self._api.nodes() if self._api.is_ready() else {}
        return {
            "running": True,
            "network": str(record.addresses.network),
            "policies": record.policies,
            "programs": {
                space.name: sorted(space.programs()["running"]) for space in spaces_of(self.layout)
            },
            "nodes": {name: ready.get(name, False) for name in self.nodes},
        }

    # -- Images -----------------------------------------------------------------------------------

    def load(self, *archives: Path | str) -> None:
        """Import docker-archives into every running node.

        An image of the same name is replaced; pods that run keep the one that they have.
        """
        with self._alone():
            for number in self._started().numbers:
                if Space(self.layout, node_name(number)).pid is not None:
                    for archive in archives:
                        self._import(number, Path(archive))

    def images(self, node: str = "node1") -> set[str]:
        """Names of the images of a node."""
        listed = self._ctr(node, "images", "list", "-q").split()
        return {name for name in listed if not name.startswith("sha256:")}

    def _import(self, number: int, archive: Path) -> None:
        snapshotter = ("--snapshotter", self._machine().snapshotter)
        self._ctr(node_name(number), "images", "import", *snapshotter, str(archive.resolve()))

    def _ctr(self, node: str, *arguments: str) -> str:
        address = Space(self.layout, node).path(settings.CONTAINERD_SOCKET)
        return run("ctr", "--address", address, "--namespace", "k8s.io", *arguments)

    # -- Faults -----------------------------------------------------------------------------------

    def stop_api_server(self) -> None:
        """Kill it, as a crash would; what runs goes on."""
        self._control.stop_program("kube-apiserver")

    def start_api_server(self) -> None:
        """Start it if it is stopped; on return it answers."""
        self._start_api_server(self._started())

    def stop_kubelet(self, node: str) -> None:
        """Kill a node's kubelet: the node is lost to the cluster, its containers run on."""
        self._node(node).stop_program("kubelet")

    def start_kubelet(self, node: str) -> None:
        """Start it if it is stopped; on return the node is Ready."""
        record = self._started()
        space = self._node(node)
        self._start_kubelet(record, space, node_number(node))
        self._await_nodes(record, {node})

    def kill_node(self, node: str) -> None:
        """End everything on a node at once, as a power cut would; its disk stays."""
        with self._alone():
            record = self._started()
            self._node(node).kill()
            cgroups.remove(self.layout.cgroup, node)
            for number in record.numbers:
                if Space(self.layout, node_name(number)).pid is not None:
                    network.route_services(self.layout, record.addresses, number)
                    return

    def start_node(self, node: str) -> None:
        """Switch a killed node on again; on return it is Ready."""
        with self._alone():
            record = self._started()
            self._node(node)
            self._start_node(record, node_number(node))
            network.join_pods(self.layout, record.addresses, record.numbers)
            self._await_nodes(record, {node})

    # -- Parts of a start -------------------------------------------------------------------------

    def _found(self, nodes: int, policies: bool) -> Record:
        """Namespaces, network and keys of a new control plane."""
        self._control.start()
        self._enter_cgroup(self._control)
        addresses = network.join_machine(self.layout, self._control)
        record = Record(addresses.network.network_address.packed[1], nodes, policies)
        self._make_keys(addresses)
        _write(self.layout.space(CONTROL) / "audit-policy.json", settings.audit_policy())
        images.write_image(
            self.layout.images / "pause.tar",
            settings.PAUSE_IMAGE,
            {"pause": programs.PAUSE},
            ["/pause"],
            user="65535:65535",
        )
        images.write_image(
            self.layout.images / "coredns.tar",
            settings.DNS_IMAGE,
            {"coredns": programs.COREDNS},
            ["/coredns"],
        )
        return record

    def _make_keys(self, addresses: Addresses) -> None:
        keys = self._authority
        keys.found()
        service = ("kubernetes", "kubernetes.default", "kubernetes.default.svc")
        keys.server(
            "api-server",
            [addresses.control, addresses.kubernetes, *service, f"{service[-1]}.{settings.DOMAIN}"],
        )
        keys.client("admin", "admin", "system:masters")
        self._write_kubeconfig(addresses, "admin", self.layout.kubeconfig)
        for name, user in (
            ("controller-manager", "system:kube-controller-manager"),
            ("scheduler", "system:kube-scheduler"),
            ("kube-proxy", "system:kube-proxy"),
            ("policies", "policies"),
        ):
            keys.client(name, user)
            self._write_kubeconfig(addresses, name)

    def _write_kubeconfig(self, addresses: Addresses, name: str, file: Path | None = None) -> None:
        keys = self.layout.keys
        content = settings.kubeconfig(
            components.api_url(addresses),
            (keys / "ca.crt").read_bytes(),
            (keys / f"{name}.crt").read_bytes(),
            (keys / f"{name}.key").read_bytes(),
        )
        file = file or keys / f"{name}.kubeconfig"
        file.touch(mode=0o600)
        _write(file, content)

    def _start_control(self, record: Record) -> None:
        self._control.start_program("etcd", components.etcd(programs.KUBE))
        self._start_api_server(record)
        kube = programs.KUBE
        self._control.start_program("kube-controller-manager", components.controller_manager(kube))
        self._control.start_program("kube-scheduler", components.scheduler(kube))
        for path, thing in addons.policies():
            self._api.apply(path, thing)

    def _start_api_server(self, record: Record) -> None:
        argv = components.api_server(programs.KUBE, record.addresses)
        self._control.start_program("kube-apiserver", argv)
        self._await(
            self._control,
            ("kube-apiserver", "etcd"),
            self._api.is_ready,
            "The API server is not ready",
        )

    def _start_node(self, record: Record, number: int) -> None:
        name = node_name(number)
        space = Space(self.layout, name)
        if space.pid is None:
            self._prepare_node(record, number)
            space.start()
            self._enter_cgroup(space)
        cgroups.make(self.layout.cgroup, name)
        network.join_node(self.layout, record.addresses, self._control, number)
        if number == 1:
            network.route_services(self.layout, record.addresses, number)
        self._start_containerd(space, number)
        self._start_kubelet(record, space, number)
        kube = programs.KUBE
        space.start_program("kube-proxy", components.kube_proxy(kube, record.addresses, number))
        if record.policies:
            space.start_program("policies", components.policies(programs.POLICIES, number))

    def _prepare_node(self, record: Record, number: int) -> None:
        """A node's folder; what a former life of it left on its disk stays."""
        name, addresses = node_name(number), record.addresses
        folder = self.layout.space(name)
        (folder / "cni").mkdir(parents=True, exist_ok=True)
        _write(folder / "cni" / "pods.conflist", settings.cni(addresses, number))
        (folder / "containerd.toml").write_text(settings.containerd(name, self._machine()))
        _write(folder / "kubelet.json", settings.kubelet(name, self.layout.cgroup, addresses))
        # For pods that do not ask the cluster's DNS: nothing else can be asked.
        (folder / "resolv.conf").write_text("")
        if not (self.layout.keys / f"{name}.kubeconfig").exists():
            self._authority.server(f"{name}-server", [name, addresses.node(number)])
            self._authority.client(name, f"system:node:{name}", "system:nodes")
            self._write_kubeconfig(addresses, name)

    def _start_containerd(self, space: Space, number: int) -> None:
        """On return it has the images that every node needs: a pod that came earlier would wait
        for the next attempt to pull."""
        space.start_program("containerd", components.containerd(number))

        def answers() -> bool:
            return bool(self._ctr(space.name, "version"))

        self._await(space, ("containerd",), answers, f"{space.name}'s containerd does not answer")
        if not {settings.PAUSE_IMAGE, settings.DNS_IMAGE} <= self.images(space.name):
            for archive in ("pause.tar", "coredns.tar"):
                self._import(number, self.layout.images / archive)

    def _start_kubelet(self, record: Record, space: Space, number: int) -> None:
        argv = components.kubelet(programs.KUBE, record.addresses, number)
        space.start_program("kubelet", argv)

    def _await_nodes(self, record: Record, names: Iterable[str] = ()) -> None:
        for name in sorted(names) or [node_name(number) for number in record.numbers]:

            def is_ready(name: str = name) -> bool:
                return self._api.nodes().get(name, False)

            self._await(
                Space(self.layout, name),
                ("kubelet", "containerd"),
                is_ready,
                f"{name} is not Ready",
            )

    def _enter_cgroup(self, space: Space) -> None:
        pid = space.pid
        assert pid is not None
        cgroups.enter(pid, self.layout.cgroup)

    def _clear(self) -> None:
        """Whatever is left of a cluster in this folder, however it ended; logs stay."""
        for space in spaces_of(self.layout):
            space.kill()
        network.leave(self.layout)
        cgroups.remove(self.layout.cgroup)
        keep = {self.layout.logs, self.layout.lock, self.layout.failure}
        for path in self.layout.folder.iterdir():
            if path in keep:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()

    # -- Small things -----------------------------------------------------------------------------

    @property
    def _api(self) -> Api:
        return Api(str(self._started().addresses.control), self.layout.keys)

    @property
    def _authority(self) -> authority.Authority:
        return authority.Authority(self.layout.keys)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One change at a time; others wait."""
        self.layout.folder.mkdir(parents=True, exist_ok=True)
        with self.layout.lock.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _record(self) -> Record | None:
        with contextlib.suppress(FileNotFoundError):
            return Record(**json.loads(self.layout.record.read_text()))
        return None

    def _keep(self, record: Record) -> None:
        _write(self.layout.record, asdict(record))

    def _started(self) -> Record:
        if (record := self._record()) is None:
            raise ClusterError(f"No cluster runs in {self.layout.folder}: make cluster")
        return record

    def _node(self, name: str) -> Space:
        if name not in self.nodes:
            raise ClusterError(f"There is no node {name}, but {', '.join(self.nodes)}")
        return Space(self.layout, name)

    def _machine(self) -> settings.Machine:
        folder = self.layout.folder
        return settings.Machine(programs.cni_folder(), _snapshotter(folder))

    def _await(
        self, space: Space, needed: tuple[str, ...], condition: Callable[[], bool], what: str
    ) -> None:
        """Wait until something is so; a needed program that ended is not waited for.

        Raises:
            ClusterError: with the end of the log of what ended, or else of the first needed.
        """
        deadline = time.monotonic() + READY_SECONDS
        while not _holds(condition):
            ended = space.programs()["ended"]
            for program in needed:
                if program in ended:
                    reason = f"{program} of {space.name} ended with exit code {ended[program]}"
                    raise ClusterError(f"{reason}.\n{self._log_end(space, program)}")
            if time.monotonic() > deadline:
                reason = f"{what} after {READY_SECONDS} s"
                raise ClusterError(f"{reason}.\n{self._log_end(space, needed[0])}")
            time.sleep(0.1)

    def _log_end(self, space: Space, program: str) -> str:
        log = self.layout.log(space.name, program)
        lines = log.read_text(errors="replace").splitlines()[-15:] if log.exists() else []
        return "\n".join([f"The end of {log}:", *lines])


def _holds(condition: Callable[[], bool]) -> bool:
    """A question that is not answered yet is asked again."""
    with contextlib.suppress(ClusterError):
        return condition()
    return False


def _write(file: Path, content: Any) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content, indent=1) + "\n")


def _snapshotter(folder: Path) -> str:
    """overlayfs, unless the folder is itself on an overlay, which cannot carry another."""
    kind = run("stat", "--file-system", "--format=%T", folder).strip()
    return "native" if kind == "overlayfs" else "overlayfs"
