"""Reading values: bounded before they are read, in pieces, with a sign of life after each.

``read`` is where a cache of decoded blocks would go: it sees each piece, its file and dataset.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import h5py
import numpy as np

from .. import limits, problems
from . import links
from .selection import Axis, Selection

Values = np.ndarray | None
"""Values that were read; None from a dataset that holds none (a null dataspace)."""

Tick = Callable[[], None]
"""Shows progress; raises if nobody waits for the answer any more."""

OBJECT_BYTES = 64
"""Least memory of a value of variable length."""


def check_size(dataset: h5py.Dataset, selection: Selection, limit: int) -> None:
    """Refuse what needs more than ``limit`` decoded bytes: all of it, or a single chunk.

    Raises:
        Problem: 413.
    """
    size = selection.points * item_bytes(dataset.dtype)
    if size > limit:
        raise problems.too_large("This selection", size, limit)
    chunk = math.prod(dataset.chunks or (0,)) * item_bytes(dataset.dtype)
    if chunk > limit:
        raise problems.too_large("One chunk of this dataset", chunk, limit)


def item_bytes(dtype: np.dtype[Any]) -> int:
    """Memory of one value."""
    return max(dtype.itemsize, OBJECT_BYTES) if dtype.hasobject else dtype.itemsize


def decoded_bytes(dataset: h5py.Dataset, selection: Selection) -> int:
    """What HDF5 decodes to read a selection: whole chunks."""
    if selection.points == 0:
        return 0
    if not dataset.chunks:
        return selection.points * item_bytes(dataset.dtype)
    chunks = math.prod(
        _chunks(axis, chunk) for axis, chunk in zip(selection.axes, dataset.chunks, strict=True)
    )
    return chunks * math.prod(dataset.chunks) * item_bytes(dataset.dtype)


def read(dataset: h5py.Dataset, selection: Selection, limit: int, tick: Tick) -> np.ndarray:
    """The selected values, in the dataset's own type, C-contiguous unless taken backwards.

    Args:
        limit: bytes; counts the contents of values of variable length too.

    Raises:
        Problem: 413 too large, 422 cannot be decoded.
    """
    check_size(dataset, selection, limit)
    try:
        # A type that is itself an array adds its axes behind the dataset's.
        element = dataset.dtype.shape
        out = np.empty(selection.counts, dataset.dtype)
        objects = 0
        if selection.points:
            for where, piece in pieces(dataset, selection):
                if element or not selection.axes:
                    out[where] = dataset[_slices(piece)]
                else:
                    dataset.read_direct(out, _slices(piece), where)
                objects = _count_objects(out[where] if where else out, objects, limit)
                tick()
    except (OSError, RuntimeError, TypeError, ValueError, UnicodeError) as error:
        raise problems.broken(f"{dataset.name}", links.reason(error)) from None
    backwards = tuple(slice(None, None, -1 if axis.backwards else 1) for axis in selection.axes)
    return out[(*backwards, ...)].reshape(selection.shape + element)


def pieces(
    dataset: h5py.Dataset, selection: Selection
) -> Iterator[tuple[tuple[slice, ...], Selection]]:
    """Cut a selection along chunk borders, so that each piece decodes few bytes.

    Yields where a piece goes in the result, and what it is in the dataset.
    """
    whole = tuple(slice(0, count) for count in selection.counts)
    yield from _cut(dataset, selection, whole)


def _cut(
    dataset: h5py.Dataset, selection: Selection, where: tuple[slice, ...]
) -> Iterator[tuple[tuple[slice, ...], Selection]]:
    size = decoded_bytes(dataset, selection)
    if not selection.axes:
        yield where, selection
        return
    if dataset.dtype.hasobject:
        # The contents' size is known only after reading: go in small steps.
        size = selection.points * 16 * 1024
    # Without chunks a "chunk" is one index: any axis can be cut anywhere.
    chunks = dataset.chunks or (1,) * dataset.ndim
    spans = [_chunks(axis, chunk) for axis, chunk in zip(selection.axes, chunks, strict=True)]
    widest = max(range(len(spans)), key=spans.__getitem__)
    if size <= limits.PIECE_BYTES or spans[widest] < 2:
        yield where, selection
        return
    axis, chunk = selection.axes[widest], chunks[widest]
    wanted = max(1, spans[widest] // math.ceil(size / limits.PIECE_BYTES))
    first = 0
    while first < axis.count:
        border = ((axis.start + first * axis.step) // chunk + wanted) * chunk
        count = min(axis.count - first, math.ceil((border - axis.start) / axis.step) - first)
        inner = list(selection.axes)
        inner[widest] = axis.part(first, count)
        place = list(where)
        offset = where[widest].start
        place[widest] = slice(offset + first, offset + first + count)
        yield from _cut(dataset, Selection(tuple(inner)), tuple(place))
        first += count


def _chunks(axis: Axis, chunk: int) -> int:
    """How many chunks an axis of a selection touches."""
    if axis.count == 0:
        return 0
    if axis.step >= chunk:
        return axis.count
    return axis.last // chunk - axis.start // chunk + 1


def _slices(selection: Selection) -> tuple[slice, ...]:
    return tuple(slice(axis.start, axis.last + 1, axis.step) for axis in selection.axes)


def _count_objects(values: np.ndarray, so_far: int, limit: int) -> int:
    """Bytes in values of variable length, added up; 413 once they are too many."""
    if not values.dtype.hasobject:
        return so_far
    so_far += sum(_content_bytes(value) for value in values.ravel())
    if so_far > limit:
        raise problems.too_large("This selection", so_far, limit)
    return so_far


def _content_bytes(value: object) -> int:
    if isinstance(value, (bytes, str)):
        return len(value) + OBJECT_BYTES
    if isinstance(value, np.ndarray):
        if value.dtype.hasobject:
            return sum(_content_bytes(item) for item in value.ravel())
        return value.nbytes + OBJECT_BYTES
    if isinstance(value, np.void) and value.dtype.names:
        return sum(_content_bytes(value[name]) for name in value.dtype.names)
    return OBJECT_BYTES
