"""Builds the cluster's programs from their Go modules, once for each state of their sources."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from dev.cluster.errors import CannotRun, ClusterError
from dev.cluster.layout import PROGRAMS
from dev.cluster.tools import find

SOURCES = Path(__file__).parent / "go"
BIN = PROGRAMS / "bin"
KUBE, COREDNS, PAUSE, POLICIES, PROBE = (
    BIN / name for name in ("kube", "coredns", "pause", "policies", "probe")
)
KUBECTL = BIN / "kubectl"
"""A link: ``kube`` is the component that it is called by."""

OLDEST_GO = (1, 24)
GO_FOLDERS = "/usr/local/go/bin:/usr/lib/go/bin"
SYSTEM_PROGRAMS = (
    *("containerd", "ctr", "runc", "nft", "ip", "conntrack", "openssl", "unshare", "nsenter"),
)
CNI_FOLDERS = ("/usr/lib/cni", "/usr/libexec/cni", "/opt/cni/bin")


def cni_folder() -> str:
    """Where the pods' network programs are."""
    for folder in CNI_FOLDERS:
        if (Path(folder) / "ptp").exists():
            return folder
    raise CannotRun("The CNI plugins are not installed (Debian: containernetworking-plugins)")


def check_root() -> None:
    """Raises :class:`CannotRun` for anybody else."""
    if os.geteuid() != 0:
        raise CannotRun("The development cluster needs root: it makes namespaces and links")


def check_system() -> None:
    """Raises :class:`CannotRun` unless this machine can run the cluster's programs."""
    check_root()
    absent = [name for name in SYSTEM_PROGRAMS if find(name) is None]
    if absent:
        raise CannotRun(f"Not installed: {', '.join(absent)} (make cluster installs them)")
    cni_folder()


def go() -> str:
    """Path of Go, new enough; else :class:`CannotRun`."""
    found = shutil.which("go", path=f"{os.environ.get('PATH', '')}:{GO_FOLDERS}")
    wanted = ".".join(map(str, OLDEST_GO))
    if found is None:
        raise CannotRun(f"Go is not installed; the development cluster needs {wanted} or newer")
    said = subprocess.run([found, "version"], capture_output=True, text=True, check=False).stdout
    number = re.search(r"go(\d+)\.(\d+)", said)
    if number is None or (int(number[1]), int(number[2])) < OLDEST_GO:
        raise CannotRun(f"{said.strip() or found} is too old; {wanted} or newer is needed")
    return found


def are_built() -> bool:
    return _stamp().exists()


def build(say: Callable[[str], None]) -> None:
    """Build what is not built yet.

    Raises:
        CannotRun: there is no Go, or too old a one.
        ClusterError: the compiler's own words.
    """
    if are_built():
        return
    compiler = go()
    log = PROGRAMS / "build.log"
    BIN.mkdir(parents=True, exist_ok=True)
    say(f"Building Kubernetes' programs (6 minutes on two cores when cold); log: {log}")
    with log.open("w") as output:
        for module, flags, packages in (
            ("kubernetes", _version(), ["./kube", "./pause", "./policies", "./probe"]),
            ("coredns", "", ["."]),
        ):
            done = subprocess.run(
                [
                    *(compiler, "build", "-trimpath", "-buildvcs=false", "-mod=readonly"),
                    *("-ldflags", f"-s -w {flags}", "-o", f"{BIN}/", *packages),
                ],
                cwd=SOURCES / module,
                env=os.environ | {"CGO_ENABLED": "0"},
                stdout=output,
                stderr=output,
                check=False,
            )
            if done.returncode != 0:
                raise ClusterError(f"Building {module} failed:\n{_tail(log)}")
    KUBECTL.unlink(missing_ok=True)
    KUBECTL.symlink_to(KUBE.name)
    for stamp in PROGRAMS.glob("built-*"):
        stamp.unlink()
    _stamp().touch()


def _version() -> str:
    """What the programs say that they are; without it, clients see v0.0.0."""
    modules = (SOURCES / "kubernetes" / "go.mod").read_text()
    found = re.search(r"k8s\.io/kubernetes (v(\d+)\.(\d+)\.\d+)$", modules, re.MULTILINE)
    assert found is not None
    values = {"gitVersion": found[1], "gitMajor": found[2], "gitMinor": found[3]}
    return " ".join(
        f"-X k8s.io/component-base/version.{key}={value}" for key, value in values.items()
    )


def _stamp() -> Path:
    digest = hashlib.sha256()
    for file in sorted(SOURCES.rglob("*")):
        if file.name in ("go.mod", "go.sum") or file.suffix == ".go":
            digest.update(f"{file.relative_to(SOURCES)}\0".encode() + file.read_bytes())
    return PROGRAMS / f"built-{digest.hexdigest()[:16]}"


def _tail(log: Path, lines: int = 30) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
