"""Where a dataset's values really are: virtual sources and external raw files, checked first.

HDF5 opens these by itself while it reads, so each place where it would look is checked before:
outside the data roots is 403, absent is what HDF5 makes of it (fill values for a virtual source).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import h5py

from .. import limits, problems
from ..problems import Problem
from . import links
from .files import Files, candidates, filename
from .selection import Selection


def check_before_shape(files: Files, found: links.Found) -> None:
    """To be called before the shape is asked for: HDF5 then opens sources of growing mappings.

    Raises:
        Problem: 403 if one of them is outside.
    """
    plist = found.entity.id.get_create_plist()
    if plist.get_layout() != h5py.h5d.VIRTUAL:
        return
    for index in range(_count(plist)):
        if _bounds(plist.get_virtual_vspace(index)) is None:
            _check_mapping(files, found, plist, index, limits.VIRTUAL_DEPTH)


def check_before_reading(
    files: Files, found: links.Found, selection: Selection | None, depth: int = limits.VIRTUAL_DEPTH
) -> None:
    """To be called before values are read.

    Args:
        selection: what will be read; None for everything.

    Raises:
        Problem: 403 if a part of it is outside the data roots, 404 if raw data are missing.
    """
    plist = found.entity.id.get_create_plist()
    _check_external(files, found, plist)
    if plist.get_layout() != h5py.h5d.VIRTUAL:
        return
    if depth == 0:
        raise problems.unsuitable("Virtual datasets are nested too deeply here.")
    seen: set[tuple[bytes, bytes]] = set()
    for index in range(_count(plist)):
        bounds = _bounds(plist.get_virtual_vspace(index))
        if selection is not None and bounds is not None and not selection.touches(*bounds):
            continue
        source = (
            os.fsencode(plist.get_virtual_filename(index)),
            links.encode(plist.get_virtual_dsetname(index)),
        )
        if source not in seen:
            seen.add(source)
            _check_mapping(files, found, plist, index, depth)


def is_virtual(dataset: h5py.Dataset) -> bool:
    """Whether the values are in other datasets."""
    return bool(dataset.id.get_create_plist().get_layout() == h5py.h5d.VIRTUAL)


def _count(plist: h5py.h5p.PropDCID) -> int:
    count = int(plist.get_virtual_count())
    if count > limits.VIRTUAL_SOURCES:
        raise Problem(
            413,
            "too-large",
            f"This virtual dataset is made of {count} parts; at most {limits.VIRTUAL_SOURCES} "
            "are looked at.",
        )
    return count


def _bounds(space: h5py.h5s.SpaceID) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """First and last index that a mapping fills; None if it grows with its source."""
    try:
        low, high = space.get_select_bounds()
    except (RuntimeError, ValueError, OSError, TypeError):
        return None
    if any(last >= h5py.h5s.UNLIMITED - 1 for last in high):
        return None
    return tuple(low), tuple(high)


def _check_mapping(
    files: Files, found: links.Found, plist: h5py.h5p.PropDCID, index: int, depth: int
) -> None:
    name = plist.get_virtual_filename(index)
    dataset = plist.get_virtual_dsetname(index)
    if "%b" not in name and "%b" not in dataset:
        _check_source(files, found, _unescape(name), _unescape(dataset), depth)
        return
    for block in range(limits.VIRTUAL_SOURCES):
        if not _check_source(files, found, _expand(name, block), _expand(dataset, block), depth):
            return
    raise problems.unsuitable("This virtual dataset has more parts than are looked at.")


def _expand(pattern: str, block: int) -> str:
    return "%".join(part.replace("%b", str(block)) for part in pattern.split("%%"))


def _unescape(pattern: str) -> str:
    return pattern.replace("%%", "%")


def _check_source(files: Files, found: links.Found, name: str, dataset: str, depth: int) -> bool:
    """Check one source and all that it is made of; False if it is not there."""
    if name == ".":
        return _check_within(files, found.file, dataset, depth)
    there = [path for path in candidates(name, found.file) if os.path.lexists(path)]
    for path in there:
        files.roots.resolve(path)
    if not there:
        return False
    # HDF5 takes the first that it can open and use, so all are looked into. They are opened apart
    # and closed again: HDF5 is to open them itself, in its own way.
    with Files(files.roots) as probing:
        found_in = [path for path in there if _check_file(probing, path, dataset, depth)]
    return bool(found_in)


def _check_file(files: Files, path: str, dataset: str, depth: int) -> bool:
    try:
        file = files.open(path)
    except Problem as problem:
        if problem.code == "outside-data-roots":
            raise
        return False
    return _check_within(files, file, dataset, depth)


def _check_within(files: Files, file: h5py.File, dataset: str, depth: int) -> bool:
    try:
        source = links.follow(files, links.root(file), "/" + dataset.lstrip("/"))
    except Problem as problem:
        if problem.code == "outside-data-roots":
            raise
        return False
    if isinstance(source.entity, h5py.Dataset):
        check_before_reading(files, source, None, depth - 1)
    return True


def _check_external(files: Files, found: links.Found, plist: h5py.h5p.PropDCID) -> None:
    for name, _, _ in _external(plist):
        path = os.fsdecode(name)
        if not path.startswith("/"):
            path = str(Path(filename(found.file)).parent / path)
        real = files.roots.resolve(path)
        try:
            status = Path(real).stat()
        except FileNotFoundError:
            raise Problem(
                404, "file-not-found", f"The values are in {path}, and there is no such file."
            ) from None
        except OSError as error:
            raise problems.broken(path, os.strerror(error.errno or 0)) from None
        if not stat.S_ISREG(status.st_mode):
            raise problems.unsuitable(f"The values are in {path}, which is no ordinary file.")


def _external(plist: h5py.h5p.PropDCID) -> Iterator[tuple[bytes, int, int]]:
    for index in range(plist.get_external_count()):
        yield plist.get_external(index)
