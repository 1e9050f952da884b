"""Opening HDF5 files: inside the data roots, without locks, also while they are written."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from types import TracebackType

import h5py

from .. import limits, problems
from ..problems import Problem
from .containment import DataRoots, why_unreadable

_NOT_ANSWERING = {errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.EREMOTEIO}


class Files:
    """The files opened for one request; all are closed at its end."""

    def __init__(self, roots: DataRoots) -> None:
        self.roots = roots
        self._open: dict[str, h5py.File] = {}

    def __enter__(self) -> Files:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for file in self._open.values():
            file.close()
        self._open.clear()

    def open(self, path: str) -> h5py.File:
        """Open a file for reading, once.

        Raises:
            Problem: it is outside, absent, not permitted, foreign, broken, or locked by its writer.
        """
        real = self.roots.resolve(path)
        file = self._open.get(real)
        if file is None:
            if len(self._open) >= limits.LINKED_FILES:
                raise problems.unsuitable(
                    f"More than {limits.LINKED_FILES} files are linked to each other here."
                )
            file = self._open[real] = self._open_real(real, path)
        return file

    def open_linked(self, name: str, beside: h5py.File) -> h5py.File:
        """Open the file that an external link names, as HDF5 would look for it.

        Raises:
            Problem: as ``open``.
        """
        absent = problems.file_absent(name)
        for candidate in candidates(name, beside):
            try:
                return self.open(candidate)
            except Problem as problem:
                # Outside and not there: the file may have moved together with the linking one.
                if problem.status == 404 or (
                    problem.code == "outside-data-roots" and not os.path.lexists(candidate)
                ):
                    absent = problem
                    continue
                raise
        raise absent

    def _open_real(self, real: str, path: str) -> h5py.File:
        _check_regular(real, path)
        file = _open_hdf5(real, path)
        # The path may have been exchanged since it was resolved: ask what was really opened.
        opened = Path(f"/proc/self/fd/{file.id.get_vfd_handle()}").readlink()
        if not self.roots.contain(str(opened).removesuffix(" (deleted)")):
            file.close()
            raise problems.outside(path)
        return file


def candidates(name: str, beside: h5py.File) -> list[str]:
    """Absolute paths where HDF5 would look for a file named in another one, in its order.

    HDF5 would also look in the current folder; workers have none that holds anything.
    """
    folder = Path(filename(beside)).parent
    if name.startswith("/"):
        return [name, str(folder / Path(name).name)]
    return [str(folder / name)]


def filename(file: h5py.File) -> str:
    """The path under which the file was opened."""
    name = file.filename
    return os.fsdecode(name) if isinstance(name, bytes) else str(name)


def _check_regular(real: str, path: str) -> None:
    """Look before HDF5 does: its errors do not tell these apart."""
    try:
        # A FIFO or device would block or act on being opened in earnest.
        descriptor = os.open(real, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except BlockingIOError:
        # Leased: an ordinary file that its writer has to give up first, which HDF5 waits for.
        return
    except OSError as error:
        raise _from_os(error, path) from None
    try:
        mode = os.fstat(descriptor).st_mode
    finally:
        os.close(descriptor)
    if stat.S_ISDIR(mode):
        raise problems.unsuitable(f"{path} is a folder; choose a file in it.")
    if not stat.S_ISREG(mode):
        raise problems.unsuitable(f"{path} is not an ordinary file.")


def _from_os(error: OSError, path: str) -> Problem:
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return problems.file_absent(path)
    if error.errno in (errno.EACCES, errno.EPERM):
        return why_unreadable(path)
    if error.errno == errno.ENAMETOOLONG:
        return problems.invalid("A part of the file path is longer than a name can be.")
    if error.errno == errno.ELOOP:
        return problems.unsuitable(f"{path} is a loop of symbolic links.")
    if error.errno in _NOT_ANSWERING:
        return problems.not_answering(path)
    return problems.broken(path, os.strerror(error.errno or 0))


def _open_hdf5(real: str, path: str) -> h5py.File:
    name = os.fsencode(real)
    try:
        return h5py.File(h5py.h5f.open(name, h5py.h5f.ACC_RDONLY, _access()))
    except OSError as first:
        try:
            # A writer in SWMR mode marks its file: it opens in that mode only.
            flags = h5py.h5f.ACC_RDONLY | h5py.h5f.ACC_SWMR_READ
            return h5py.File(h5py.h5f.open(name, flags, _access()))
        except OSError:
            raise _from_hdf5(first, real, path) from None


def _access() -> h5py.h5p.PropFAID:
    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    # HDF5 opens the sources of virtual datasets in this way, and refuses a file that is open in
    # two ways at once.
    access.set_fclose_degree(h5py.h5f.CLOSE_WEAK)
    access.set_file_locking(False, True)
    return access


def _from_hdf5(error: OSError, real: str, path: str) -> Problem:
    text = str(error)
    if error.errno in _NOT_ANSWERING:
        return problems.not_answering(path)
    if "already open for" in text:
        return Problem(
            409,
            "being-written",
            f"{path} is open for writing in a way that does not allow reading (not SWMR), or its "
            "writer ended without closing it. Try again once it is closed; if nothing writes it "
            "any more, `h5clear -s` mends a copy.",
        )
    if "truncated" in text or "eof" in text.lower():
        return Problem(
            422,
            "incomplete-file",
            f"{path} is shorter than its own header says: it is still being written or copied, or "
            "was cut off. Try again later, or copy it again.",
        )
    try:
        foreign = not h5py.h5f.is_hdf5(os.fsencode(real))
    except (OSError, RuntimeError):
        foreign = True
    if foreign:
        return Problem(
            415, "not-hdf5", f"{path} is not an HDF5 or NeXus file, so there is no data to show."
        )
    return problems.broken(path, "HDF5 does not accept its header")
