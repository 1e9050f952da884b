"""Did the kernel end a process because the memory ran out? Its own counters say so for certain."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

_KILLS = re.compile(r"^oom_kill (\d+)$", re.MULTILINE)


def count_kills(
    proc: Path = Path("/proc"), cgroups: Path = Path("/sys/fs/cgroup")
) -> dict[str, int]:
    """Kills so far by counter file: of this process's control group, and of the whole machine.

    Take it before and after a run and compare with :func:`grew`. Empty if none is readable.
    """
    files = [proc / "vmstat"]
    for group in _memory_groups(proc / "self" / "cgroup"):
        relative = group.lstrip("/")
        # Inside a container the group is usually mounted as the root of the tree.
        for name in ("memory.events", "memory/memory.oom_control"):
            folder, _, file = name.rpartition("/")
            files += [cgroups / folder / relative / file, cgroups / folder / file]
    return {
        str(file): int(match[1])
        for file in files
        if (text := _read(file)) and (match := _KILLS.search(text))
    }


def grew(before: Mapping[str, int], after: Mapping[str, int]) -> bool:
    """Whether any counter known before is higher now."""
    return any(after.get(name, 0) > count for name, count in before.items())


def _memory_groups(cgroup_file: Path) -> set[str]:
    groups = set()
    for line in _read(cgroup_file).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "" or "memory" in controllers.split(","):
            groups.add(path)
    return groups or {"/"}


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""
