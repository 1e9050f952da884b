"""Which detector rows a preview takes, in Savu's own preview grammar. Pure.

An entry of Savu's list is ``start:stop:step:chunk`` (later parts optional) or one index, made of
numbers, ``start``, ``mid``, ``end``, ``+ - * /``; ``mid`` is the last index of the first half.
The second entry is the detector's rows, in every full-field loader.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any, Final

from savu_api.jobs.job import Rows

ROWS: Final = 4
"""Enough for plugins that look at a row's neighbours, few enough to be done at once."""

_ROW_DIMENSION: Final = 1


class NoPreview(ValueError):
    """A preview of this list cannot be made; the message says why."""


def preview_entries(
    current: object, shape: Sequence[int] | None, rows: int = ROWS
) -> tuple[list[str], Rows | None]:
    """The loader's ``preview`` parameter for a few middle rows of what ``current`` selects.

    Every other crop of ``current`` stays. ``shape`` is the data's as the loader sees it; without it
    the middle is left to Savu and None returned for the rows. Raises NoPreview.
    """
    entries = _entries(current, dimensions=len(shape) if shape else 3)
    if shape is None:
        entries[_ROW_DIMENSION] = f"mid-{rows // 2}:mid+{rows - rows // 2}:1"
        return entries, None
    if len(shape) < 3:
        raise NoPreview(f"the data has {len(shape)} dimensions: a preview needs 3 or more.")
    total = shape[_ROW_DIMENSION]
    start, stop = _bounds(entries[_ROW_DIMENSION], total)
    first = max(start, (start + stop) // 2 - rows // 2)
    chosen = Rows(first, min(stop, first + rows), total)
    entries[_ROW_DIMENSION] = f"{chosen.start}:{chosen.stop}:1"
    return entries, chosen


def _entries(current: object, dimensions: int) -> list[str]:
    if current in (None, [], {}, "", "[]", "None"):
        return [":"] * dimensions
    if not isinstance(current, list) or len(current) < 2:
        raise NoPreview(
            f"its loader's own preview is {current!r}, not a list of one entry an axis."
        )
    return [str(entry).strip() or ":" for entry in current]


def _bounds(entry: str, total: int) -> tuple[int, int]:
    if entry == ":":
        return 0, total
    if entry == "nprocs":
        return 0, total
    parts = entry.split(":")
    start = _index(parts[0], total)
    stop = _index(parts[1], total) if len(parts) > 1 else start + 1
    if not 0 <= start < stop <= total:
        raise NoPreview(f"its loader crops the rows to {entry}, and this scan has {total}.")
    return start, stop


def _index(text: str, total: int) -> int:
    names = {"start": 0, "mid": max(0, math.ceil(total / 2) - 1), "end": total}
    try:
        value = int(_number(ast.parse(text.strip(), mode="eval").body, names))
    except (SyntaxError, ValueError, KeyError, ZeroDivisionError, RecursionError) as error:
        raise NoPreview(f"its loader's own preview has an entry {text!r}.") from error
    return value if value >= 0 else total + 1 + value


_OPERATORS: Final[dict[type[ast.operator], Callable[[Any, Any], Any]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
}


def _number(node: ast.expr, names: dict[str, int]) -> float:
    """The value of an expression of the grammar; a list is a user's text and is never evaluated."""
    match node:
        case ast.Constant(value=int() | float() as value):
            return value
        case ast.Name(id=name):
            return names[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_number(operand, names)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return float(_OPERATORS[type(op)](_number(left, names), _number(right, names)))
    raise ValueError("not in the grammar")
