"""Reads a scan: frames of which some are projections, some flat and some dark fields."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import h5py
import hdf5plugin  # noqa: F401 - registers the filters that detectors compress with
import numpy as np
from numpy.typing import NDArray

from savu_builtin.datasets import BLOCK_BYTES, Selection
from savu_builtin.errors import DataUnusable

ENTRY: Final = "entry1/tomo_entry"
ANGLE_PATH: Final = f"{ENTRY}/data/rotation_angle"
IMAGE_KEY_PATH: Final = f"{ENTRY}/instrument/detector/image_key"
PROJECTION, FLAT, DARK, IGNORED = 0, 1, 2, 3

_LINSPACE = re.compile(
    r"(?:np\.|numpy\.)?linspace\(\s*(-?[\d.]+)\s*,\s*(-?[\d.]+)\s*,\s*(\d+)\s*\)"
)


def open_scan(path: Path) -> h5py.File:
    """The file, for reading. Raises DataUnusable with a sentence."""
    try:
        # No lock: the detector may still hold its own.
        return h5py.File(path, "r", locking=False)
    except FileNotFoundError:
        raise DataUnusable(f"There is no file {path}.") from None
    except IsADirectoryError:
        raise DataUnusable(f"{path} is a folder, not a NeXus file.") from None
    except PermissionError:
        raise DataUnusable(f"You may not read {path}.") from None
    except OSError as error:
        if "truncated" in str(error):
            raise DataUnusable(f"{path} is cut off: part of the file is missing.") from error
        raise DataUnusable(f"{path} is not an HDF5 file, or a damaged one.") from error


def find_dataset(file: h5py.File, path: str) -> h5py.Dataset:
    """The dataset at ``path``, through links into other files. Raises DataUnusable."""
    name = Path(file.filename).name
    if not path or "\0" in path:
        raise DataUnusable(f"{path!r} is not a path in an HDF5 file.")
    try:
        found = file[path]
    except (KeyError, OSError, RuntimeError, ValueError) as error:
        raise DataUnusable(_why_absent(file, path, name, error)) from error
    if not isinstance(found, h5py.Dataset):
        raise DataUnusable(f"{path} in {name} is a group, not a dataset.")
    return found


def _why_absent(file: h5py.File, path: str, name: str, error: Exception) -> str:
    try:
        link = file.get(path, getlink=True)
    except (KeyError, OSError, RuntimeError, ValueError):
        link = None
    if isinstance(link, h5py.ExternalLink):
        target = Path(file.filename).parent / link.filename
        if not target.exists():
            return f"{path} in {name} links to {target}, which does not exist."
        open_scan(target).close()
        return f"{path} in {name} links to {link.path} in {target}, which has nothing there."
    if link is None:
        return f"{name} has nothing at {path}."
    return f"{path} in {name} cannot be read: {error}"


class Frames:
    """The frames of a scan that are projections, of which a part is taken."""

    def __init__(
        self, data: h5py.Dataset, indices: NDArray[np.intp], taken: tuple[slice, slice, slice]
    ) -> None:
        self._data = data
        self._indices = indices[taken[0]]
        self._rows, self._columns = taken[1], taken[2]

    @property
    def frames_are_whole(self) -> bool:
        """Whether a chunk is a frame, or several."""
        chunks = self._data.chunks
        return chunks is not None and chunks[1] * 4 >= self._data.shape[1]

    def read(self, selection: Selection) -> NDArray[Any]:
        """This part, counted in what was taken."""
        frames, rows, columns = selection
        rows_there = _part_of(self._rows, rows)
        columns_there = _part_of(self._columns, columns)
        return read_frames(self._data, self._indices[frames], rows_there, columns_there)


def _part_of(taken: slice, selection: slice) -> slice:
    indices = range(taken.start, taken.stop, taken.step)[selection]
    return slice(indices.start, indices.stop, indices.step)


def read_frames(
    data: h5py.Dataset, indices: NDArray[np.intp], rows: slice, columns: slice
) -> NDArray[Any]:
    """These frames, one after another as they lie in the file. Raises DataUnusable."""
    shape = (len(range(*rows.indices(data.shape[1]))), len(range(*columns.indices(data.shape[2]))))
    part = np.empty((indices.size, *shape), data.dtype)
    # Whole chunks are decoded for any part of them, so a pass takes a bounded number of frames.
    step = max(1, BLOCK_BYTES // max(1, data.dtype.itemsize * data.shape[1] * data.shape[2]))
    for there, here in _runs(indices, step):
        try:
            data.read_direct(part, np.s_[there, rows, columns], np.s_[here])
        except (OSError, RuntimeError) as error:
            raise DataUnusable(
                f"Frames {there.start} to {there.stop - 1} of {data.file.filename} cannot be read: "
                "the file is damaged, unfinished, or compressed in a way that is not known here."
            ) from error
    return part


def _runs(indices: NDArray[np.intp], longest: int) -> Iterator[tuple[slice, slice]]:
    """Consecutive indices as slices, with where each goes."""
    ends = np.flatnonzero(np.diff(indices) != 1) + 1
    here = 0
    for run in np.split(indices, ends):
        for first in range(0, run.size, longest):
            count = min(longest, run.size - first)
            start = int(run[first])
            yield slice(start, start + count), slice(here, here + count)
            here += count


def image_key(
    file: h5py.File, path: str | None, frames: int, ignored_flats: Sequence[int] | None
) -> NDArray[np.int64]:
    """What each frame is; batches of flats in ``ignored_flats``, from 1, become IGNORED.

    Raises DataUnusable.
    """
    if path is None:
        return np.zeros(frames, np.int64)
    key: NDArray[np.int64] = np.asarray(find_dataset(file, path)[()]).ravel().astype(np.int64)
    if key.size != frames:
        raise DataUnusable(
            f"The image key at {path} has {key.size} values, and there are {frames} frames."
        )
    if not (key == PROJECTION).any():
        raise DataUnusable(f"The image key at {path} names no projection (value 0).")
    flats = np.flatnonzero(key == FLAT)
    batches = np.split(flats, np.flatnonzero(np.diff(flats) != 1) + 1) if flats.size else []
    for batch in ignored_flats or ():
        if not 1 <= batch <= len(batches):
            raise DataUnusable(
                f"ignore_flats names batch {batch}, and the scan has {len(batches)} of them."
            )
        key[batches[batch - 1]] = IGNORED
    return key


def angles_of(
    file: h5py.File, key: NDArray[np.int64], given: str | None
) -> tuple[NDArray[np.float64], str]:
    """Angle of each projection in degrees, and a warning or nothing. Raises DataUnusable."""
    projections = int(np.count_nonzero(key == PROJECTION))
    if given is not None:
        return _given_angles(given, projections), ""
    if ANGLE_PATH not in file:
        return np.linspace(0, 180, projections), (
            "No angles found so evenly distributing them between 0 and 180 degrees"
        )
    angles = np.asarray(find_dataset(file, ANGLE_PATH)[()], np.float64).ravel()
    if angles.size == key.size:
        angles = angles[key == PROJECTION]
    return _right_number(angles, projections), ""


def _given_angles(given: str, projections: int) -> NDArray[np.float64]:
    even = _LINSPACE.fullmatch(given.strip())
    if even is not None:
        return _right_number(np.linspace(float(even[1]), float(even[2]), int(even[3])), projections)
    try:
        angles = np.loadtxt(given, dtype=np.float64).ravel()
    except (OSError, ValueError) as error:
        raise DataUnusable(
            f"angles is {given!r}: neither a file of angles, one a line, nor "
            "np.linspace(first, last, number). Other expressions are not evaluated."
        ) from error
    return _right_number(angles, projections)


def _right_number(angles: NDArray[np.float64], projections: int) -> NDArray[np.float64]:
    if angles.size != projections:
        raise DataUnusable(
            f"The number of angles {angles.size} does not match the data dimension length "
            f"{projections}."
        )
    if not np.isfinite(angles).all():
        raise DataUnusable("Some of the rotation angles are not numbers.")
    return angles


def mean_field(
    data: h5py.Dataset, indices: NDArray[np.intp], rows: slice, columns: slice
) -> NDArray[np.float32]:
    """The mean of these frames; all frames must have been found, ``indices`` is not empty."""
    total = np.zeros(0)
    for part in np.array_split(indices, -(-indices.size // 16)):
        summed = read_frames(data, part, rows, columns).sum(axis=0, dtype=np.float64)
        total = summed if not total.size else total + summed
    return (total / indices.size).astype(np.float32)


def separate_field(
    path: str, entry: str, kind: int, shape: tuple[int, int], rows: slice, columns: slice
) -> NDArray[np.float32]:
    """The mean field in another file: frames of this image key if it has one, else all.

    Raises DataUnusable.
    """
    with open_scan(Path(path)) as file:
        data = find_dataset(file, entry)
        if data.ndim == 2:
            if data.shape != shape:
                raise DataUnusable(_other_size(path, data.shape, shape))
            return np.asarray(data[rows, columns], np.float32)
        if data.ndim != 3 or data.shape[1:] != shape or not data.shape[0]:
            raise DataUnusable(_other_size(path, data.shape, shape))
        indices = np.arange(data.shape[0])
        if IMAGE_KEY_PATH in file:
            key = np.asarray(find_dataset(file, IMAGE_KEY_PATH)[()]).ravel()
            if key.size == data.shape[0] and (key == kind).any():
                indices = np.flatnonzero(key == kind)
        return mean_field(data, indices, rows, columns)


def _other_size(path: str, shape: tuple[int, ...], wanted: tuple[int, int]) -> str:
    return f"The frames in {path} are {shape[-2:]} pixels, and those of the scan {wanted}."
