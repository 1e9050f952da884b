"""HDF5 types as h5grove describes them, bounded, also those that NumPy lacks."""

from __future__ import annotations

from typing import Any

import h5py
from h5grove.utils import get_type_metadata

from .. import limits


def describe(type_id: h5py.h5t.TypeID) -> dict[str, Any]:
    """H5Web's description of a type; one that is unknown or endless by class and size only."""
    if _members(type_id, 0) <= limits.TYPE_MEMBERS:
        try:
            return dict(get_type_metadata(type_id))
        except (TypeError, ValueError, OSError, RuntimeError, UnicodeError, NotImplementedError):
            pass
    # Class 5, opaque: H5Web shows its bytes; anything else would need a correct description.
    size = int(type_id.get_size())
    return {"class": h5py.h5t.OPAQUE, "dtype": f"|V{size}", "size": size, "tag": "unknown type"}


def _members(type_id: h5py.h5t.TypeID, depth: int) -> int:
    """Members at all levels, as far as it matters whether there are too many."""
    if depth > limits.TYPE_DEPTH:
        return limits.TYPE_MEMBERS + 1
    if isinstance(type_id, h5py.h5t.TypeEnumID):
        return int(type_id.get_nmembers())
    if isinstance(type_id, h5py.h5t.TypeCompoundID):
        total = int(type_id.get_nmembers())
        for index in range(total):
            if total > limits.TYPE_MEMBERS:
                break
            total += _members(type_id.get_member_type(index), depth + 1)
        return total
    if isinstance(type_id, (h5py.h5t.TypeVlenID, h5py.h5t.TypeArrayID)):
        return _members(type_id.get_super(), depth + 1)
    return 0
