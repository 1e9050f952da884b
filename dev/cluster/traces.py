"""Everything on the machine that belongs to a cluster; nothing, once it has ended."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable
from pathlib import Path

from dev.cluster import cgroups
from dev.cluster.layout import Layout
from dev.cluster.spaces import spaces_of
from dev.cluster.tools import run


def traces(layout: Layout, known: Iterable[str] = ()) -> dict[str, list[str]]:
    """What of a cluster is there, by kind.

    Args:
        known: ``processes`` of an earlier answer; those that live are in this one too, wherever
            they are now. (Namespaces cannot be known again: their numbers are given anew.)
    """
    namespaces = {
        name for space in spaces_of(layout) if space.pid for name in _namespaces(space.pid)
    }
    namespaces -= _namespaces("self")
    held = {
        entry.name: found
        for entry in Path("/proc").iterdir()
        if entry.name.isdecimal() and (found := _namespaces(entry.name) & namespaces)
    }
    processes = {process for pid in held if (process := _process(pid))}
    processes |= {process for process in known if _process(process.split()[0]) == process}
    mounts = Path("/proc/self/mountinfo").read_text()
    return {
        "processes": sorted(processes),
        "namespaces": sorted(set().union(*held.values()) if held else set()),
        "mounts": [line for line in mounts.splitlines() if str(layout.folder) in line]
        + _mounts_in(held),
        "links": [link["ifname"] for link in _ip("link") if link["ifname"] == layout.name],
        "routes": [
            route["dst"]
            for route in _ip("-4", "route", "show", "table", "all")
            if route.get("dev") == layout.name
        ],
        "cgroups": [str(path) for path in cgroups.remaining(layout.cgroup)],
        "state": [
            str(path)
            for path in (layout.folder.iterdir() if layout.folder.is_dir() else ())
            if path not in (layout.logs, layout.lock)
        ],
    }


def _mounts_in(processes: Iterable[str]) -> list[str]:
    """Mounts that are in the processes' view and not in this one's."""
    own = Path("/proc/self/mountinfo").read_text().splitlines()
    found: set[str] = set()
    for pid in processes:
        with contextlib.suppress(OSError):
            found.update(Path(f"/proc/{pid}/mountinfo").read_text().splitlines())
    return sorted(found.difference(own))


def _process(pid: str) -> str:
    """Number and start time, which together are given only once; empty if it has ended."""
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return "" if fields[0] == "Z" else f"{pid} {fields[19]}"
    return ""


def _namespaces(pid: int | str) -> set[str]:
    found = set()
    with contextlib.suppress(OSError):
        for link in Path(f"/proc/{pid}/ns").iterdir():
            with contextlib.suppress(OSError):
                found.add(str(link.readlink()))
    return found


def _ip(*arguments: str) -> list[dict[str, str]]:
    return list(json.loads(run("ip", "-json", *arguments) or "[]"))
