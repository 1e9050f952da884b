"""What is in a folder: folders first, then by name, one page at a time."""

from __future__ import annotations

import os
import stat
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from savu_api.apart import get_ready
from savu_api.kinds import FileKind, Looker, is_data_name
from savu_api.paths import DataRoots
from savu_api.problems import Problem, file_errors

MAX_ENTRIES: Final = 200_000
"""Of one folder; beyond, the answer says that it is cut short."""

LOOK_SECONDS: Final = 1.0
"""For looks inside files, a page; the rest of the page is judged by name."""

_SETTLED_SECONDS: Final = 2.0
"""A folder changed within the clock's grain may change again under the same time stamp."""

_KEPT_LISTINGS: Final = 4


@dataclass(frozen=True)
class Entry:
    """One thing in a folder."""

    name: str
    path: str
    kind: FileKind
    size: int
    modified: datetime | None
    readable: bool
    writable: bool


@dataclass(frozen=True)
class Page:
    """Part of a folder's entries."""

    entries: tuple[Entry, ...]
    total: int
    truncated: bool
    """The folder holds more than can be counted here."""


@dataclass(frozen=True)
class _Names:
    names: tuple[tuple[str, bool], ...]
    """Name, and whether it is a folder."""
    truncated: bool


class Lister:
    """Lists folders; remembers the order of the last few, so that paging costs a page."""

    def __init__(self, roots: DataRoots, looker: Looker) -> None:
        self._roots = roots
        self._looker = looker
        self._listings: OrderedDict[tuple[int, int, int], _Names] = OrderedDict()
        self._lock = threading.Lock()

    def page(self, folder: Path, offset: int, limit: int) -> Page:
        """Entries ``offset`` to ``offset + limit``. Blocks. Raises Problem."""
        with file_errors(folder):
            status = folder.stat()
        if not stat.S_ISDIR(status.st_mode):
            raise Problem(400, "not-a-folder", f"{folder} is a file, and a folder is needed.")
        listing = self._names(folder, status)
        get_ready()
        deadline = time.monotonic() + LOOK_SECONDS
        entries = tuple(
            self._entry(folder, name, is_folder, deadline)
            for name, is_folder in listing.names[offset : offset + limit]
        )
        return Page(entries, len(listing.names), listing.truncated)

    def _names(self, folder: Path, status: os.stat_result) -> _Names:
        key = (status.st_dev, status.st_ino, status.st_mtime_ns)
        with self._lock:
            if key in self._listings:
                self._listings.move_to_end(key)
                return self._listings[key]
        names: list[tuple[str, bool]] = []
        truncated = False
        with file_errors(folder), os.scandir(folder) as scan:
            for entry in scan:
                if len(names) == MAX_ENTRIES:
                    truncated = True
                    break
                if not entry.name.startswith("."):
                    names.append((entry.name, _is_folder(entry)))
        names.sort(key=lambda item: (not item[1], item[0].casefold(), item[0]))
        listing = _Names(tuple(names), truncated)
        if time.time() - status.st_mtime > _SETTLED_SECONDS:
            with self._lock:
                self._listings[key] = listing
                while len(self._listings) > _KEPT_LISTINGS:
                    self._listings.popitem(last=False)
        return listing

    def _entry(self, folder: Path, name: str, is_folder: bool, deadline: float) -> Entry:
        path = folder / name
        shown = os.fsencode(name).decode("utf-8", "replace")
        try:
            status = path.stat()
        except OSError:
            status = None
        # A name that is not UTF-8 cannot be asked for again over this API.
        reachable = shown == name and status is not None and self._is_inside(path)
        kind: FileKind = "folder" if is_folder else "file"
        if status is not None and reachable and not is_folder:
            in_time = time.monotonic() < deadline
            by_name: FileKind = "data" if is_data_name(name) else "file"
            kind = self._looker.kind(self._real(path), status) if in_time else by_name
        need = os.R_OK | os.X_OK if is_folder else os.R_OK
        return Entry(
            name=shown,
            path=str(folder / shown),
            kind=kind,
            size=0 if status is None or is_folder else status.st_size,
            modified=None if status is None else datetime.fromtimestamp(status.st_mtime, UTC),
            readable=reachable and os.access(path, need),
            writable=reachable and os.access(path, os.W_OK),
        )

    def _is_inside(self, path: Path) -> bool:
        if not path.is_symlink():
            return True
        try:
            self._roots.resolve(str(path))
        except Problem:
            return False
        return True

    def _real(self, path: Path) -> Path:
        return self._roots.resolve(str(path)) if path.is_symlink() else path


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False
