"""``/tree``: everything in a file in one JSON document, bounded."""

from __future__ import annotations

from typing import Any

import h5py

from .. import limits, problems
from ..hdf5 import links, storage
from ..hdf5.tree import Node, walk
from ..problems import Problem
from . import json
from .answer import JSON, Answer
from .context import Context

ATTRIBUTES_SHOWN = ("NX_class", "default", "signal", "axes", "units", "long_name")
"""What is needed to understand NeXus; all others by ``/h5grove/attr``."""


def tree(context: Context, path: str, group: str = "/", depth: int | None = None) -> Answer:
    """What is below a group, and what could not be listed (``truncated``)."""
    found = context.find(path, group)
    if not isinstance(found.entity, h5py.Group):
        raise problems.unsuitable(f"{group} is not a group, so it has no members.")
    base = "/" + "/".join(links.parts(group))
    top: dict[str, Any] = {"name": json.text(base), "kind": "group"}
    top |= {"attributes": _attributes(found.entity), "children": []}
    by_path = {"": top}
    truncated: list[str] = []
    most = min(depth or limits.TREE_DEPTH, limits.TREE_DEPTH)
    for node in walk(found.entity, context.tick, limits.TREE_NODES, most, truncated):
        described = _describe(context, found, node)
        parent, _, _ = node.path.rpartition("/")
        by_path[parent]["children"].append(described)
        if described["kind"] == "group":
            by_path[node.path] = described
    document = {
        "path": json.text(path),
        "group": json.text(base),
        "truncated": sorted(set(truncated)),
        "tree": top,
    }
    return Answer(json.encode(document), JSON)


def _describe(context: Context, top: links.Found, node: Node) -> dict[str, Any]:
    described: dict[str, Any] = {"name": json.text(node.path.rpartition("/")[2])}
    if node.link is not None:
        described["kind"] = node.link.kind
        if node.link.target_file:
            described["target_file"] = json.text(node.link.target_file)
        if node.link.target_path:
            described["target_path"] = json.text(node.link.target_path)
        return described
    entity = node.entity
    if isinstance(entity, h5py.Group):
        described |= {"kind": "group", "attributes": _attributes(entity)}
        if node.seen:
            return described | {"seen": True}
        return described | {"children": []}
    if isinstance(entity, h5py.Dataset):
        return described | _dataset(context, links.Found(entity, top.file))
    return described | {"kind": "datatype"}


def _dataset(context: Context, found: links.Found) -> dict[str, Any]:
    try:
        storage.check_before_shape(context.files, found)
        entity = found.entity
        return {
            "kind": "dataset",
            "shape": entity.shape,
            "max_shape": entity.maxshape,
            "chunks": entity.chunks,
            "dtype": entity.dtype.str if entity.dtype.names is None else "compound",
            "attributes": _attributes(entity),
        }
    except (Problem, OSError, RuntimeError, TypeError, ValueError) as error:
        return {"kind": "dataset", "problem": json.text(str(error))}


def _attributes(entity: links.Entity) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for name in ATTRIBUTES_SHOWN:
        try:
            attribute = h5py.h5a.open(entity.id, name.encode())
            if attribute.get_storage_size() <= 4096:
                shown[name] = entity.attrs[name]
        except (KeyError, OSError, RuntimeError, TypeError, ValueError):
            continue
    return shown
