"""Which files may be read: those whose real path is inside a data root."""

from __future__ import annotations

import grp
import os
from collections.abc import Sequence
from pathlib import Path

from .. import limits, problems
from ..problems import Problem


class DataRoots:
    """The folders outside which nothing is read."""

    def __init__(self, roots: Sequence[str]) -> None:
        self._roots = tuple(os.path.normpath(root) for root in roots)

    def contain(self, real: str) -> bool:
        """Whether a path without symbolic links is inside."""
        if any(_inside(real, root) for root in self._roots):
            return True
        # Only now are the roots' own links resolved: looking at a root touches its file system,
        # and one that hangs must not hold up the others.
        return any(_inside(real, os.path.realpath(root)) for root in self._roots)

    def resolve(self, path: str) -> str:
        """The real path of a file that may be read; it need not exist.

        Raises:
            Problem: 400 for what is no absolute path, 403 for what is outside.
        """
        check_path(path)
        real = os.path.realpath(path)
        if not self.contain(real):
            raise problems.outside(path)
        return real


def check_path(path: str) -> None:
    """Refuse what cannot be an absolute path."""
    if "\0" in path:
        raise problems.invalid("The file path holds a NUL character.")
    if not path.startswith("/"):
        raise problems.invalid("The file must be given by its absolute path.")
    if len(os.fsencode(path)) >= limits.PATH_BYTES:
        raise problems.invalid(f"The file path is longer than {limits.PATH_BYTES} bytes.")


def why_unreadable(path: str) -> Problem:
    """403 for a file that the file system keeps from this user: whose it is, and what decides."""
    part = _first_closed(path)
    try:
        status = Path(part).stat()
        try:
            group = grp.getgrgid(status.st_gid).gr_name
        except KeyError:
            group = f"with number {status.st_gid}"
        owner = f"It belongs to the group {group}, and membership of that group decides"
    except OSError:
        owner = "Membership of its group decides"
    where = "" if part == path else f", because the folder {part} is closed to you"
    return Problem(
        403,
        "permission-denied",
        f"You may not read {path}{where}. {owner}: ask the visit's principal investigator or your "
        "support contact to add you, then start a new session.",
    )


def _first_closed(path: str) -> str:
    """The outermost folder on the way that may not be entered, else the path itself."""
    for folder in reversed(Path(path).parents):
        if not os.access(folder, os.X_OK):
            return str(folder)
    return path


def _inside(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip("/") + "/")
