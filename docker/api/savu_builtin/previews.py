"""Savu's preview grammar: which part of each axis is taken. Nothing is evaluated."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

_TERM: Final = r"\s*(?:\d+|start|mid|end)\s*"
_INDEX: Final = re.compile(rf"-?{_TERM}(?:[+-]{_TERM})*")
_PART: Final = re.compile(r"([+-]?)\s*(\d+|start|mid|end)\s*")


def parse_preview(preview: Sequence[Any], shape: Sequence[int]) -> tuple[slice, ...]:
    """The slice of each axis; all of them for an empty preview.

    An entry is ``:``, an index, or ``start:stop[:step]``, where an index is a number or ``start``,
    ``mid`` or ``end`` with numbers added or subtracted. Raises ValueError with a sentence.
    """
    if not preview:
        return tuple(slice(0, size, 1) for size in shape)
    if len(preview) != len(shape):
        raise ValueError(f"The preview has {len(preview)} entries, and the data {len(shape)} axes.")
    return tuple(_parse_entry(str(entry), size) for entry, size in zip(preview, shape, strict=True))


def check_preview(preview: Sequence[Any]) -> None:
    """Refuse what is not in the grammar, whatever the data. Raises ValueError with a sentence."""
    for entry in preview:
        for index in str(entry).split(":"):
            if index.strip() and _INDEX.fullmatch(index.strip()) is None:
                raise ValueError(f"{entry!r} is not a preview such as ':', '5' or 'mid-5:mid+5'.")


def _parse_entry(entry: str, size: int) -> slice:
    check_preview([entry])
    if ":" not in entry:
        start = _index(entry, size)
        stop, step = start + 1, 1
    else:
        start_text, stop_text, *rest = [part.strip() for part in entry.split(":")]
        start = _index(start_text, size) if start_text else 0
        stop = _index(stop_text, size) if stop_text else size
        step = _index(rest[0], size) if rest and rest[0] else 1
        if len(rest) > 2 or (len(rest) == 2 and rest[1] not in ("", "1")):
            raise ValueError(f"The preview {entry!r} takes chunks, which this engine does not.")
    if step < 1:
        raise ValueError(f"The preview {entry!r} has a step below 1.")
    if not 0 <= start < stop <= size:
        raise ValueError(
            f"The preview {entry!r} is {start} to {stop} on an axis that has 0 to {size}."
        )
    return slice(start, stop, step)


def _index(text: str, size: int) -> int:
    """As Savu counts: ``mid`` is the lower middle, -1 is the end itself."""
    words = {"start": 0, "mid": max(-(-size // 2) - 1, 0), "end": size}
    value = 0
    for sign, term in _PART.findall(text):
        number = words[term] if term in words else int(term)
        value += -number if sign == "-" else number
    return value if value >= 0 else size + 1 + value


def length(part: slice) -> int:
    """How many indices this slice with given ends takes."""
    return len(range(part.start, part.stop, part.step))
