"""New lines of a growing log, and the last lines of any, in bounded memory."""

from __future__ import annotations

import os
from pathlib import Path

_BLOCK = 1024 * 1024
_LONGEST_LINE = 64 * 1024


class LogFollower:
    """Whole lines appended to ``path`` since the last call; the file may not exist yet.

    A file that became shorter is read from its start again: Savu truncates ``user.log``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offset = 0
        self._rest = b""

    def new_lines(self) -> list[str]:
        try:
            with self.path.open("rb") as stream:
                if os.fstat(stream.fileno()).st_size < self._offset:
                    self._offset, self._rest = 0, b""
                stream.seek(self._offset)
                block = stream.read(_BLOCK)
        except OSError:
            return []
        self._offset += len(block)
        *lines, rest = (self._rest + block).split(b"\n")
        self._rest = rest[-_LONGEST_LINE:]
        return [line.decode(errors="replace") for line in lines]


def last_lines(path: Path, count: int) -> tuple[list[str], bool]:
    """The last ``count`` lines (of at most 1 MiB) of a text file, and whether more came before.

    Raises OSError if it cannot be read.
    """
    with path.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        start = max(0, size - _BLOCK)
        stream.seek(start)
        lines = stream.read(_BLOCK).decode(errors="replace").splitlines()
    if start:
        lines = lines[1:]
    return lines[-count:] if count else [], start > 0 or len(lines) > count
