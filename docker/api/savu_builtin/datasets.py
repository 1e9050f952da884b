"""What steps take and make: an array that is read in parts, and what is known about it."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, Protocol

import h5py
import numpy as np
from numpy.typing import NDArray

Kind = Literal["scan", "projections", "volume", "centres"]
Selection = tuple[slice, slice, slice]

BLOCK_BYTES: Final = int(os.environ.get("SAVU_BUILTIN_BLOCK_BYTES") or 64 * 2**20)
"""About as much as is held of a dataset at a time, or one frame or sinogram if that is more."""

AXES: Final[dict[Kind, tuple[tuple[str, str], ...]]] = {
    "scan": (("rotation_angle", "degrees"), ("detector_y", "pixel"), ("detector_x", "pixel")),
    "projections": (
        ("rotation_angle", "degrees"),
        ("detector_y", "pixel"),
        ("detector_x", "pixel"),
    ),
    "volume": (("voxel_x", "voxels"), ("voxel_y", "voxels"), ("voxel_z", "voxels")),
}
"""Name and unit of each axis."""

_STACK_PATTERNS: Final = {
    "PROJECTION": ((2, 1), (0,)),
    "SINOGRAM": ((2, 0), (1,)),
    "TANGENTOGRAM": ((0, 1), (2,)),
}
PATTERNS: Final[dict[Kind, dict[str, tuple[tuple[int, ...], tuple[int, ...]]]]] = {
    "scan": _STACK_PATTERNS,
    "projections": _STACK_PATTERNS,
    "volume": {
        "VOLUME_XY": ((0, 1), (2,)),
        "VOLUME_XZ": ((0, 2), (1,)),
        "VOLUME_YZ": ((1, 2), (0,)),
    },
}
"""Name → axes of a plane, and axes along which the planes lie."""


class Readable(Protocol):
    """An array of three axes on disk."""

    def read(self, selection: Selection) -> NDArray[Any]:
        """This part; the slices have start and stop, and step 1. Raises DataUnusable."""


@dataclass
class Dataset:
    """One dataset of a run."""

    name: str
    kind: Kind
    shape: tuple[int, ...]
    source: Readable
    axis_values: Mapping[str, NDArray[Any]]
    metadata: dict[str, NDArray[Any]] = field(default_factory=dict)
    """As Savu keeps it: rotation_angle, centre_of_rotation, …"""
    fields: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    """The mean ``dark`` and ``flat`` field of a scan, as far as it has them."""
    frames_are_whole: bool = False
    """Whether reading part of a frame costs as much as reading all of it."""
    previewed: bool = False
    """Whether the loader took a part only: the previews of reconstructions are then ignored."""

    def read(self, *selection: slice) -> NDArray[Any]:
        """Part of the data: one slice an axis."""
        first, second, third = selection
        return self.source.read((first, second, third))


def blocks(size: int, bytes_each: int, block_bytes: int = 0) -> Iterator[slice]:
    """Consecutive parts of an axis, each at most ``block_bytes`` or one index long."""
    step = max(1, (block_bytes or BLOCK_BYTES) // max(bytes_each, 1))
    for start in range(0, size, step):
        yield slice(start, min(start + step, size))


class Stored:
    """A dataset in a file of its own, written and read by this process."""

    def __init__(self, path: Path, group: str, shape: tuple[int, ...]) -> None:
        self.path = path
        self.group = group
        # No lock: somebody may look at the file while it is written.
        self._file = h5py.File(path, "w", locking=False)
        parent = self._file.create_group(group)
        parent.attrs["NX_class"], parent.attrs["signal"] = "NXdata", "data"
        # Contiguous: frames are written, sinograms read and slices looked at, and none of them
        # fetches what it does not need. Not filled first: all of it is about to be written.
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        self._data = h5py.Dataset(
            h5py.h5d.create(
                parent.id,
                b"data",
                h5py.h5t.IEEE_F32LE,
                h5py.h5s.create_simple(shape),
                properties,
            )
        )

    def read(self, selection: Selection) -> NDArray[Any]:
        """This part of what was written."""
        part: NDArray[Any] = self._data[selection]
        return part

    def write(self, selection: tuple[slice, ...], values: NDArray[Any]) -> None:
        """Raises OSError, for example when the disk is full."""
        self._data[selection] = values

    def flush(self) -> None:
        """Let others see what was written."""
        self._file.flush()

    def close(self) -> None:
        """No more reading or writing."""
        self._file.close()


def float_bytes(*shape: int) -> int:
    """Size of an array of this shape in single precision."""
    return math.prod(shape) * np.dtype(np.float32).itemsize
