"""A node: containerd, the kubelet, kube-proxy and the policies' enforcer in one space."""

from __future__ import annotations

from pathlib import Path

from dev.cluster import cgroups, components, control, images, network, programs, settings
from dev.cluster.authority import Authority
from dev.cluster.files import write_json
from dev.cluster.layout import CONTROL, Layout, node_name
from dev.cluster.record import Record
from dev.cluster.spaces import Space
from dev.cluster.tools import run
from dev.cluster.waiting import wait_for


class Node:
    """One node of a cluster that was started, running or not.

    Args:
        number: counted from 1.
    """

    def __init__(self, layout: Layout, record: Record, number: int) -> None:
        self.name = node_name(number)
        self.space = Space(layout, self.name)
        self._layout = layout
        self._record = record
        self._addresses = record.addresses
        self._number = number

    @property
    def is_running(self) -> bool:
        return self.space.pid is not None

    def start(self) -> None:
        """Start what does not run; what a former life of the node left on its disk stays."""
        if not self.is_running:
            self._prepare()
            self.space.start()
        cgroups.make(self._layout.cgroup, self.name)
        control_space = Space(self._layout, CONTROL)
        network.join_node(self._layout, self._addresses, control_space, self._number)
        self._start_containerd()
        self.start_kubelet()
        proxy = components.kube_proxy(programs.KUBE, self._addresses, self._number)
        self.space.start_program("kube-proxy", proxy)
        if self._record.policies:
            enforcer = components.policies(programs.POLICIES, self._number)
            self.space.start_program("policies", enforcer)

    def start_kubelet(self) -> None:
        argv = components.kubelet(programs.KUBE, self._addresses, self._number)
        self.space.start_program("kubelet", argv)

    def wait_until_ready(self) -> None:
        api = control.api(self._layout, self._addresses)
        wait_for(
            lambda: api.nodes().get(self.name, False),
            self.space,
            ("kubelet", "containerd"),
            f"{self.name} is not Ready",
        )

    def kill(self) -> None:
        """End everything on it at once, as a power cut would; its disk stays."""
        self.space.kill()
        cgroups.remove(self._layout.cgroup, self.name)

    def images(self) -> set[str]:
        """Names of the images that pods of the node can have without a pull."""
        listed = self._ctr("images", "list", "-q").split()
        return {name for name in listed if not name.startswith("sha256:")}

    def load(self, archive: Path) -> None:
        """Import a docker-archive; an image of the same name is replaced."""
        self._ctr("images", "import", "--snapshotter", self._machine().snapshotter, archive)

    def _ctr(self, *arguments: object) -> str:
        address = self.space.path(settings.CONTAINERD_SOCKET)
        return run("ctr", "--address", address, "--namespace", "k8s.io", *arguments)

    def _machine(self) -> settings.Machine:
        return settings.Machine(programs.cni_folder(), _snapshotter(self._layout.folder))

    def _prepare(self) -> None:
        folder = self._layout.space(self.name)
        write_json(folder / "cni" / "pods.conflist", settings.cni(self._addresses, self._number))
        (folder / "containerd.toml").write_text(settings.containerd(self.name, self._machine()))
        kubelet = settings.kubelet(self.name, self._layout.cgroup, self._addresses)
        write_json(folder / "kubelet.json", kubelet)
        # For pods that do not ask the cluster's DNS: nothing else can be asked.
        (folder / "resolv.conf").write_text("")
        keys = Authority(self._layout.keys)
        if not (keys.folder / f"{self.name}.kubeconfig").exists():
            keys.server(f"{self.name}-server", [self._addresses.node(self._number)])
            keys.client(self.name, f"system:node:{self.name}", "system:nodes")
            keys.write_kubeconfig(self.name, components.api_url(self._addresses))

    def _start_containerd(self) -> None:
        """On return it has the images that every node needs: a pod that came earlier would wait
        for the next attempt to pull."""
        self.space.start_program("containerd", components.containerd(self._number))
        wait_for(
            lambda: bool(self._ctr("version")),
            self.space,
            ("containerd",),
            f"{self.name}'s containerd does not answer",
        )
        for name, program, user in (
            (settings.PAUSE_IMAGE, programs.PAUSE, "65535:65535"),
            (settings.DNS_IMAGE, programs.COREDNS, ""),
        ):
            if name not in self.images():
                file = self._layout.images / f"{program.name}.tar"
                self.load(
                    images.write_image(
                        file, name, {program.name: program}, [f"/{program.name}"], user
                    )
                )


def _snapshotter(folder: Path) -> str:
    """overlayfs, unless the folder is itself on an overlay, which cannot carry another."""
    kind = run("stat", "--file-system", "--format=%T", folder).strip()
    return "native" if kind == "overlayfs" else "overlayfs"
