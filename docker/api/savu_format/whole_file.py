"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from pathlib import Path


def write_whole(path: str | os.PathLike[str], content: bytes, *, overwrite: bool) -> None:
    """Make ``path`` hold ``content``; at every moment it holds all of the old or all of the new.

    The new file has the mode that the umask leaves of 0666 and the group that its folder gives
    (setgid), so the other members of a visit can open and replace it. One that takes the place of
    another stays in that one's group, and closed to its group or to others if that one was.

    Raises FileExistsError without ``overwrite`` if there is anything at ``path``; OSError as the
    file system gives it (ENOSPC, EACCES, …), with nothing left behind.
    """
    target = Path(path)
    # In the same folder, for a rename to be atomic; a short name of its own, for the target's may
    # already have all 255 bytes; made by open and not by tempfile, whose files are 0600.
    temporary = target.with_name(f".savu-{secrets.token_hex(8)}.part")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        try:
            if overwrite:
                _keep_access(descriptor, target)
            _write_all(descriptor, content)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if overwrite:
            temporary.replace(target)
        else:
            _link_new(temporary, target)
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
    _sync_folder(target.parent)


def _write_all(descriptor: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _keep_access(descriptor: int, target: Path) -> None:
    try:
        old = target.stat()
    except FileNotFoundError:
        return
    new = os.fstat(descriptor)
    if new.st_gid != old.st_gid:
        # Of a group that this user is not in, the file cannot be: it gets its folder's.
        with contextlib.suppress(PermissionError):
            os.fchown(descriptor, -1, old.st_gid)
    mode = stat.S_IMODE(new.st_mode)
    if not old.st_mode & stat.S_IRGRP:
        mode &= ~stat.S_IRWXG
    if not old.st_mode & stat.S_IROTH:
        mode &= ~stat.S_IRWXO
    os.fchmod(descriptor, mode)


def _link_new(temporary: Path, target: Path) -> None:
    try:
        os.link(temporary, target)
    except FileExistsError:
        raise
    except OSError:
        # A file system without hard links: claim the name, then put the whole file over the claim.
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666))
        temporary.replace(target)


def _sync_folder(folder: Path) -> None:
    # Durability of the name itself; some network file systems refuse it, and lose nothing by that.
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
