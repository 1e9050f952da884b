"""Recursive search that ends: bounded in depth, in folders, in results and in time."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from savu_api.paths import DataRoots
from savu_api.problems import Problem, file_errors


@dataclass(frozen=True)
class Bounds:
    """Where a search stops; what was found until then is the answer."""

    depth: int = 8
    """Folders below the first."""
    results: int = 2000
    entries: int = 200_000
    """Looked at in all."""
    seconds: float = 8.0


BOUNDS: Final = Bounds()


@dataclass(frozen=True)
class Found:
    """The files found, sorted, and whether there may be more."""

    files: tuple[Path, ...]
    truncated: bool


def find(
    roots: DataRoots,
    start: Path,
    wanted: Callable[[Path, os.stat_result], bool],
    may_be_wanted: Callable[[str], bool],
    bounds: Bounds = BOUNDS,
) -> Found:
    """Files below ``start``, near ones first; hidden ones are left out and links to folders not
    followed.

    ``may_be_wanted`` sees each name, ``wanted`` what passed it. Folders that may not be read are
    passed over, ``start`` itself is not. Blocks. Raises Problem.
    """
    deadline = time.monotonic() + bounds.seconds
    with file_errors(start), os.scandir(start):
        pass
    waiting = deque([(start, 0)])
    files: list[Path] = []
    seen = 0
    truncated = False
    while waiting:
        folder, depth = waiting.popleft()
        try:
            with os.scandir(folder) as listing:
                for entry in listing:
                    seen += 1
                    if seen > bounds.entries or time.monotonic() > deadline:
                        return Found(tuple(sorted(files)), truncated=True)
                    if entry.name.startswith(".") or not entry.name.isprintable():
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        if depth < bounds.depth:
                            waiting.append((folder / entry.name, depth + 1))
                        else:
                            truncated = True
                    elif may_be_wanted(entry.name) and _is_wanted(roots, folder, entry, wanted):
                        if len(files) == bounds.results:
                            return Found(tuple(sorted(files)), truncated=True)
                        files.append(folder / entry.name)
        except OSError:
            continue
    return Found(tuple(sorted(files)), truncated)


def _is_wanted(
    roots: DataRoots,
    folder: Path,
    entry: os.DirEntry[str],
    wanted: Callable[[Path, os.stat_result], bool],
) -> bool:
    try:
        target = folder / entry.name
        if entry.is_symlink():
            target = roots.resolve(str(target))
            return target.is_file() and wanted(target, target.stat())
        return entry.is_file() and wanted(target, entry.stat())
    except (OSError, Problem):
        return False
