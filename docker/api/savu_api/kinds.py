"""What kind of file something is, by its name and a short look inside."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Final, Literal

from savu_format.process_list import holds_process_list

from savu_api.apart import LookFailed, apart
from savu_api.paths import DataRoots
from savu_api.problems import Problem

FileKind = Literal["folder", "data", "process_list", "file"]

DATA_SUFFIXES: Final = frozenset({".nxs", ".h5", ".hdf5", ".hdf", ".nx"})
LIST_SUFFIX: Final = ".nxs"

MAX_LOOK_BYTES: Final = 8 * 1024 * 1024
"""Larger files are no process lists: the largest of Savu's own tests has half a megabyte."""

_SIGNATURE: Final = b"\x89HDF\r\n\x1a\n"
_REMEMBERED: Final = 20_000


def is_data_name(name: str) -> bool:
    """Whether a file of this name should be HDF5."""
    return Path(name).suffix.lower() in DATA_SUFFIXES


def is_list_name(name: str) -> bool:
    """Whether a process list may have this name."""
    return Path(name).suffix.lower() == LIST_SUFFIX


class Looker:
    """Looks into files, and remembers what it saw until they change."""

    def __init__(self, roots: DataRoots) -> None:
        self._roots = roots
        self._lists: OrderedDict[tuple[int, int, int, int], bool] = OrderedDict()
        self._lock = threading.Lock()

    def kind(self, path: Path, status: os.stat_result) -> FileKind:
        """Kind of a file that is no folder; what cannot be read is judged by its name."""
        if not is_data_name(path.name):
            return "file"
        return "process_list" if self.is_process_list(path, status) else "data"

    def is_process_list(self, path: Path, status: os.stat_result) -> bool:
        """Whether this is a readable process list."""
        if not is_list_name(path.name) or not 0 < status.st_size <= MAX_LOOK_BYTES:
            return False
        key = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
        with self._lock:
            if key in self._lists:
                self._lists.move_to_end(key)
                return self._lists[key]
        try:
            with (
                self._roots.open_file(path) as descriptor,
                os.fdopen(descriptor, "rb", closefd=False) as file,
            ):
                content = file.read(MAX_LOOK_BYTES)
        except (Problem, OSError):
            return False
        try:
            found = apart(holds_process_list, content)
        except LookFailed:
            # Remembered as well: each look at such a file takes seconds.
            found = False
        with self._lock:
            self._lists[key] = found
            while len(self._lists) > _REMEMBERED:
                self._lists.popitem(last=False)
        return found

    def is_hdf5(self, path: Path) -> bool:
        """Whether this is a readable file that begins as HDF5 files do."""
        try:
            with self._roots.open_file(path) as descriptor:
                return os.pread(descriptor, len(_SIGNATURE), 0) == _SIGNATURE
        except (Problem, OSError):
            return False
