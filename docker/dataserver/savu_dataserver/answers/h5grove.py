"""The answers that H5Web's ``H5GroveProvider`` asks for, in h5grove 4's wire format.

What the values look like is h5grove's own doing; finding, checking, bounding and reading is not.
Where a list is cut off, ``truncated`` is true and the header ``X-Truncated`` says what.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np
from h5grove import content as h5grove_content
from h5grove import encoders
from h5grove.utils import QueryArgumentError, convert, get_array_stats, get_filters

from .. import limits, problems
from ..hdf5 import links, storage, types
from ..hdf5.tree import members, walk
from ..problems import Problem
from . import json
from .answer import JSON, Answer
from .context import Context

JSON_BYTES_PER_VALUE = 24
"""About the longest a number gets in JSON and CSV."""


def meta(context: Context, file: str, path: str, resolve_links: str = "only_valid") -> Answer:
    """What an object is: type, shape, attributes' types, members."""
    links.check_inner_path(path)
    described, truncated = _describe_path(context, file, path, _resolution(resolve_links))
    return _json(described, truncated)


def attr(context: Context, file: str, path: str, attr_keys: list[str] | None = None) -> Answer:
    """Values of attributes. Unasked, one that is very large is null."""
    entity = context.find(file, path).entity
    values: dict[str, Any] = {}
    truncated: list[str] = []
    left = context.max_bytes
    names = attr_keys if attr_keys is not None else list(_attribute_names(entity, truncated))
    for name in names:
        try:
            attribute = h5py.h5a.open(entity.id, links.encode(name))
            size = int(attribute.get_storage_size())
        except (KeyError, OSError, RuntimeError, ValueError):
            raise problems.path_absent(f"{path}@{name}", file) from None
        if attr_keys is None and size > limits.ATTRIBUTE_BYTES:
            values[json.text(name)] = None
            truncated.append("attribute values")
            continue
        left -= size
        if left < 0:
            raise problems.too_large(
                "These attributes", context.max_bytes - left, context.max_bytes
            )
        try:
            values[json.text(name)] = entity.attrs[name]
        except (OSError, RuntimeError, TypeError, ValueError):
            # Of a type that h5py has no values for; the others are still worth showing.
            values[json.text(name)] = None
        context.tick()
    return _json(values, truncated)


def data(
    context: Context,
    file: str,
    path: str,
    selection: str | None = None,
    format: str = "json",
    dtype: str = "origin",
    flatten: bool = False,
) -> Answer:
    """Values of a dataset, or of a part of it."""
    if format not in ("json", "bin", "csv", "npy", "tiff"):
        raise problems.invalid(f"{format!r} is none of the formats json, bin, csv, npy and tiff.")
    found = context.find_dataset(file, path)
    values = context.read(found, selection)
    if values is None:
        return Answer(b"", "application/octet-stream") if format == "bin" else _json(None, [])
    if format in ("json", "csv") and values.size * JSON_BYTES_PER_VALUE > 2 * context.max_bytes:
        raise problems.too_large(
            f"This selection as {format}", values.size * JSON_BYTES_PER_VALUE, 2 * context.max_bytes
        )
    try:
        values = convert(values, dtype)
        if flatten and values.ndim:
            values = np.ravel(values)
        if format == "json":
            return _json(values, [])
        if format == "bin":
            return Answer(_buffer(values), "application/octet-stream")
        encoded = encoders.encode(values, format)
    except (QueryArgumentError, TypeError, ValueError) as error:
        raise problems.unsuitable(f"{path} cannot be sent as {format}: {error}.") from None
    media_type = encoded.headers.pop("Content-Type")
    encoded.headers.pop("Content-Length", None)
    return Answer(encoded.content, media_type, encoded.headers)


def stats(context: Context, file: str, path: str, selection: str | None = None) -> Answer:
    """Least, greatest, mean and so on of the finite values."""
    values = context.read(context.find_dataset(file, path), selection)
    if values is None or values.dtype.kind not in "biuf":
        raise problems.unsuitable(f"{path} holds no real numbers, so it has no statistics.")
    if values.dtype.kind == "f":
        values = values[np.isfinite(values)]
    return _json(get_array_stats(values), [])


def paths(context: Context, file: str, path: str, resolve_links: str = "only_valid") -> Answer:
    """All paths below a group, for searching. Links are listed and not followed."""
    _resolution(resolve_links)
    found = context.find(file, path)
    if not isinstance(found.entity, h5py.Group):
        raise problems.unsuitable(f"{path} is not a group, so it has no members.")
    base = "/" + "/".join(links.parts(path))
    listed = [json.text(base)]
    truncated: list[str] = []
    for node in walk(found.entity, context.tick, limits.PATHS, limits.TREE_DEPTH * 4, truncated):
        listed.append(json.text(base.rstrip("/") + "/" + node.path))
    return _json(listed, truncated)


def _describe_path(
    context: Context, file: str, path: str, resolve_links: str
) -> tuple[dict[str, Any], list[str]]:
    names = links.parts(path)
    start = links.root(context.files.open(file))
    if names:
        parent = links.follow(context.files, start, "/" + "/".join(names[:-1]))
        if not isinstance(parent.entity, h5py.Group):
            raise problems.path_absent(path, file)
        try:
            link = links.read_link(parent.entity, names[-1])
        except (KeyError, OSError, RuntimeError, ValueError):
            raise problems.path_absent(path, file) from None
        if link is not None:
            unresolved = _describe_link(names[-1], link), list[str]()
            if resolve_links == "none":
                return unresolved
            try:
                links.follow(context.files, start, "/" + "/".join(names))
            except Problem as problem:
                # Refused and broken are said; a target that is not there is H5Web's "unresolved".
                if problem.status != 404 or resolve_links == "all":
                    raise
                return unresolved
    found = context.find(file, path)
    truncated: list[str] = []
    described = _describe(found, names[-1] if names else "", truncated)
    if isinstance(found.entity, h5py.Group):
        children = []
        for name in members(found.entity, limits.CHILDREN, truncated):
            children.append(_describe_child(context, found, name))
            context.tick()
        if "members" in truncated:
            # H5Web ignores what it does not know, so that its user is told by an entry.
            children.append({"name": "… and more, not listed", "kind": "truncated"})
        described["children"] = children
    return described, truncated


def _describe_child(context: Context, group: links.Found, name: str) -> dict[str, Any]:
    """A member as it appears in a group's list: never an error."""
    shown = json.text(name)
    link = None
    try:
        link = links.read_link(group.entity, name)
        found = links.follow(context.files, group, name)
        if isinstance(found.entity, h5py.Dataset):
            storage.check_before_shape(context.files, found)
        return _describe(found, shown, [])
    except (Problem, KeyError, OSError, RuntimeError, ValueError):
        return _describe_link(shown, link or links.Link("other"))


def _describe_link(name: str, link: links.Link) -> dict[str, Any]:
    described = {"name": json.text(name), "kind": link.kind}
    if link.kind == "external_link":
        described["target_file"] = json.text(link.target_file)
    if link.kind != "other":
        described["target_path"] = json.text(link.target_path)
    return described


def _describe(found: links.Found, name: str, truncated: list[str]) -> dict[str, Any]:
    entity = found.entity
    described: dict[str, Any] = {
        "name": json.text(name),
        "attributes": list(_describe_attributes(entity, truncated)),
    }
    if isinstance(entity, h5py.Group):
        return described | {"kind": h5grove_content.GroupContent.kind}
    if isinstance(entity, h5py.Datatype):
        return described | {
            "kind": h5grove_content.DatatypeContent.kind,
            "type": types.describe(entity.id),
        }
    return described | {
        "kind": h5grove_content.DatasetContent.kind,
        "type": types.describe(entity.id.get_type()),
        "shape": entity.shape,
        "chunks": entity.chunks,
        "filters": get_filters(entity),
    }


def _describe_attributes(entity: links.Entity, truncated: list[str]) -> Iterator[dict[str, Any]]:
    for name in sorted(_attribute_names(entity, truncated)):
        try:
            attribute = h5py.h5a.open(entity.id, links.encode(name))
            shape = attribute.shape if attribute.get_space().get_simple_extent_type() != 2 else None
            described = types.describe(attribute.get_type())
        except (KeyError, OSError, RuntimeError, ValueError, TypeError):
            continue
        yield {"name": json.text(name), "shape": shape, "type": described}


def _attribute_names(entity: links.Entity, truncated: list[str]) -> Iterator[str]:
    names: list[str] = []
    most = limits.ATTRIBUTES + 1

    def take(name: bytes, *_: object) -> bool | None:
        names.append(links.decode(name))
        return True if len(names) == most else None

    try:
        if isinstance(entity, h5py.Dataset) and entity.external:
            # HDF5 iterates by opening the dataset once more, without its prefix for raw files.
            for index in range(min(most, h5py.h5a.get_num_attrs(entity.id))):
                names.append(links.decode(h5py.h5a.open(entity.id, index=index).name))
        else:
            h5py.h5a.iterate(entity.id, take)
    except (OSError, RuntimeError, ValueError) as error:
        raise problems.broken("The attributes", links.reason(error)) from None
    if len(names) > limits.ATTRIBUTES:
        names.pop()
        truncated.append("attributes")
    return iter(names)


def _resolution(text: str) -> str:
    known = {"true": "all", "false": "none"}
    value = known.get(text.lower(), text.lower())
    if value not in ("none", "only_valid", "all"):
        raise problems.invalid(f"resolve_links is {text!r}; it must be none, only_valid or all.")
    return value


def _buffer(values: np.ndarray) -> memoryview:
    if values.dtype.hasobject:
        # Their bytes would be addresses in this process.
        raise TypeError("its values have no fixed size")
    contiguous = np.ascontiguousarray(values)
    return memoryview(contiguous.view(np.uint8).ravel()) if contiguous.nbytes else memoryview(b"")


def _json(content: Any, truncated: list[str]) -> Answer:
    headers = {}
    if truncated:
        headers["X-Truncated"] = ", ".join(sorted(set(truncated)))
        if isinstance(content, dict) and "kind" in content:
            content["truncated"] = True
    return Answer(json.encode(content), JSON, headers)
