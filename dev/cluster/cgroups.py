"""The cluster's own control groups, in every hierarchy of the machine.

    NAME/programs    what makes up the cluster
    NAME/node1       a node's pods; its kubelet sees nothing above

A kubelet deletes the groups of pods that it does not know, so no two of them may share one.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from dev.cluster.errors import CannotRun, ClusterError

ROOT = Path("/sys/fs/cgroup")
END_SECONDS = 20
PROGRAMS = "programs"
WANTED = ("cpu", "cpuset", "io", "memory", "pids")


def unified() -> bool:
    """Whether the machine has cgroup v2 alone; else v1, perhaps with v2 beside it (hybrid)."""
    return (ROOT / "cgroup.controllers").exists()


def hierarchies() -> list[Path]:
    """Where each hierarchy is mounted."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields, _, kind = line.partition(" - ")
        if kind.split()[0] in ("cgroup", "cgroup2"):
            found.append(Path(fields.split()[4]))
    if not found:
        raise CannotRun("No cgroup file system is mounted on this machine")
    return found


def make(cluster: str, group: str) -> None:
    """Make ``cluster/group`` everywhere; harmless if it is there."""
    for root in hierarchies():
        try:
            _make(root, cluster, group)
        except OSError as error:
            raise CannotRun(
                f"This machine lets nobody make control groups below {root}: {error}"
                + (
                    ". On cgroup v2 a container needs a delegated group without processes in it"
                    if unified()
                    else ""
                )
            ) from error


def _make(root: Path, cluster: str, group: str) -> None:
    path = root
    for name in (cluster, group):
        if unified():
            # A group's controllers are those that its parent hands down.
            offered = (path / "cgroup.controllers").read_text().split()
            handed = " ".join(f"+{one}" for one in WANTED if one in offered)
            (path / "cgroup.subtree_control").write_text(handed)
        parent, path = path, path / name
        path.mkdir(exist_ok=True)
        for setting in ("cpuset.cpus", "cpuset.mems"):
            # v1: empty in a new group, and then no process may enter.
            if not unified() and (parent / setting).exists():
                (path / setting).write_text((parent / setting).read_text())


def enter(pid: int, cluster: str) -> None:
    """Put a process, and what it will start, into ``cluster/programs``."""
    make(cluster, PROGRAMS)
    for root in hierarchies():
        (root / cluster / PROGRAMS / "cgroup.procs").write_text(str(pid))


def remaining(cluster: str) -> list[Path]:
    """Every group of a cluster, the innermost first."""
    return [found for root in hierarchies() for found in _below(root / cluster)]


def _below(path: Path) -> list[Path]:
    if not path.is_dir():
        return []
    inner = [found for child in path.iterdir() for found in _below(child)]
    return [*inner, path]


def remove(cluster: str, group: str = "") -> None:
    """Remove a group and all below it, once its processes have ended."""
    deadline = time.monotonic() + END_SECONDS
    while left := [found for root in hierarchies() for found in _below(root / cluster / group)]:
        if time.monotonic() > deadline:
            raise ClusterError(f"Control groups that cannot be removed: {left[:3]}")
        for path in left:
            with contextlib.suppress(OSError):
                path.rmdir()
        time.sleep(0.02)
