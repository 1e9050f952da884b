"""DAWN's data server, as hebi's page uses it: ``/info`` and ``/slice``."""

from __future__ import annotations

import math

import h5py
import numpy as np

from .. import limits, problems
from ..hdf5 import links, storage
from ..hdf5.tree import walk
from ..problems import Problem
from . import json, picture
from .answer import Answer
from .context import Context

STRING, OBJECT = 9, 10
"""DAWN's numbers of types; those of numbers are in ``_type_number``."""


def info(context: Context, path: str, dataset: str | None = None) -> Answer:
    """DAWN's lines: name, shape, number of the type, elements per item, maximum shape, chunks.

    The last two only for a dataset in chunks. -1 is an axis that may grow for ever.
    """
    name = dataset or guess_dataset(context, path)
    found = context.find_dataset(path, name)
    entity = found.entity
    shape = entity.shape or ()
    lines = [json.text(name), _array(shape), str(_type_number(entity)), "1"]
    if entity.chunks:
        lines.append(_array(-1 if size is None else size for size in entity.maxshape))
        lines.append(_array(entity.chunks))
    return Answer(("\n".join(lines) + "\n").encode(), "text/plain; charset=utf-8")


def slice_picture(
    context: Context,
    path: str,
    dataset: str | None = None,
    slice: str | None = None,
    format: str = "PNG",
    bin: str | None = None,
    histo: str | None = None,
    low: float | None = None,
    high: float | None = None,
    width: int | None = None,
) -> Answer:
    """One slice as a picture. The window that was used is in headers ``X-Slice-Min`` and ``-Max``,
    the slice's own shape, before any reduction, in ``X-Slice-Shape``."""
    file_format = picture.parse_format(format)
    block = picture.parse_bin(bin)
    histogram = picture.parse_histogram(histo)
    for bound in (low, high):
        if bound is not None and not math.isfinite(bound):
            raise problems.invalid("The window's ends must be finite numbers.")
    found = context.find_dataset(path, dataset or guess_dataset(context, path))
    if not slice and found.entity.shape is not None and found.entity.ndim > 2:
        raise problems.unsuitable(
            f"The dataset has {found.entity.ndim} axes: say which slice of it, such as slice=0,:,:."
        )
    values = context.read(found, slice)
    if values is None:
        raise problems.unsuitable("The dataset is empty, so there is no image to show.")
    image = picture.as_image(values)
    shape = image.shape
    if block:
        image = picture.reduce(image, block)
    if width is not None and image.shape[1] > width:
        image = picture.to_width(image, width)
    window = picture.find_window(image, histogram) if low is None or high is None else None
    window = picture.Window(
        window.low if low is None and window else low or 0.0,
        window.high if high is None and window else high or 0.0,
    )
    context.tick()
    body = picture.encode(picture.to_grey(image, window), file_format)
    return Answer(
        body,
        picture.MEDIA_TYPES[file_format],
        {
            "X-Slice-Min": repr(window.low),
            "X-Slice-Max": repr(window.high),
            "X-Slice-Shape": f"{shape[0]}x{shape[1]}",
        },
    )


def guess_dataset(context: Context, file: str) -> str:
    """The dataset that a file is about: its NeXus default, else its largest one of numbers.

    Raises:
        Problem: 404 if it has none.
    """
    default = _follow_default(context, file)
    if default is not None:
        return default
    best, best_size = "", -1
    root = links.root(context.files.open(file))
    for node in walk(root.entity, context.tick, limits.TREE_NODES, limits.TREE_DEPTH, []):
        try:
            found = links.Found(node.entity, root.file)
            if node.link is not None and node.link.kind != "other":
                found = links.follow(context.files, root, "/" + node.path)
            if not isinstance(found.entity, h5py.Dataset):
                continue
            storage.check_before_shape(context.files, found)
            if found.entity.shape is None or found.entity.dtype.kind not in "biufc":
                continue
            if found.entity.size > best_size:
                best, best_size = "/" + node.path, found.entity.size
        except (Problem, TypeError, OSError, RuntimeError, ValueError):
            continue
    if best_size < 0:
        raise Problem(404, "no-dataset", f"{file} holds no dataset of numbers.")
    return best


def _follow_default(context: Context, file: str) -> str | None:
    """NeXus: from group to group by attribute ``default``, then the dataset called ``signal``."""
    path = "/"
    try:
        for _ in range(limits.TREE_DEPTH):
            entity = context.find(file, path).entity
            if isinstance(entity, h5py.Dataset):
                return path
            name = _text_attribute(entity, "default") or _text_attribute(entity, "signal")
            if not name:
                return None
            path = path.rstrip("/") + "/" + name.strip("/")
    except Problem as problem:
        if problem.status != 404 or path == "/":
            raise
    return None


def _text_attribute(entity: links.Entity, name: str) -> str | None:
    try:
        attribute = h5py.h5a.open(entity.id, name.encode())
        if attribute.get_storage_size() > 4096:
            return None
        value = entity.attrs[name]
    except (KeyError, OSError, RuntimeError, TypeError, ValueError):
        return None
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.ravel()[0]
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return value if isinstance(value, str) else None


def _type_number(dataset: h5py.Dataset) -> int:
    """DAWN's number; Java has no unsigned integers, so the next larger signed one holds them."""
    try:
        kind, size = dataset.dtype.kind, dataset.dtype.itemsize
        if h5py.check_string_dtype(dataset.dtype) is not None or kind in "SU":
            return STRING
    except TypeError:
        return OBJECT
    if kind == "b":
        return 0
    if kind == "u":
        return {1: 2, 2: 3}.get(size, 4)
    return {
        ("i", 1): 1,
        ("i", 2): 2,
        ("i", 4): 3,
        ("i", 8): 4,
        ("f", 2): 5,
        ("f", 4): 5,
        ("f", 8): 6,
        ("f", 16): 6,
        ("c", 8): 7,
        ("c", 16): 8,
    }.get((kind, size), OBJECT)


def _array(numbers: object) -> str:
    return "[" + ", ".join(str(number) for number in numbers) + "]"  # type: ignore[attr-defined]
