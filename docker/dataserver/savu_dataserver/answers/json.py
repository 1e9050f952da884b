"""Values and names of HDF5 files as JSON, whatever bytes they hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
from h5grove.encoders import orjson_default


def encode(content: Any) -> bytes:
    """JSON as h5grove writes it; what is not UTF-8 is shown with replacement characters."""
    try:
        return orjson.dumps(
            content,
            default=_default,
            option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS,
        )
    except TypeError:
        return orjson.dumps(_plain(content), option=orjson.OPT_NON_STR_KEYS)


def text(value: str) -> str:
    """A name with its undecodable bytes replaced."""
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _default(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, np.void) and value.dtype.names is None:
        return value.tobytes().hex()
    return orjson_default(value)


def _plain(value: Any) -> Any:
    """Only what JSON has; slow, for the rare content that orjson refuses."""
    if isinstance(value, str):
        return text(value)
    if isinstance(value, dict):
        return {text(str(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, (bool, int)):
        return value if value is None or -(2**63) <= value < 2**64 else str(value)
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    try:
        return _plain(_default(value))
    except TypeError:
        return str(value)
