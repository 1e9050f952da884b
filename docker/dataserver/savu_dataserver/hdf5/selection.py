"""Which part of a dataset: the slice grammar that H5Web and DAWN's data server share.

``[0,:1024,10:100:2]``: brackets may be left out, one part for each axis, separated by commas. A
part is an index or ``start:stop:step`` of which each may be left out. Negative numbers count from
the end. Axes without a part are taken whole.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from .. import problems

_INDEX = re.compile(r"[+-]?[0-9]{1,18}\Z")


@dataclass(frozen=True)
class Axis:
    """``count`` indices from ``start`` in steps of ``step`` (1 or more)."""

    start: int
    count: int
    step: int
    single: bool = False
    """Given as one index: the axis is not in the result."""

    backwards: bool = False
    """The indices are to be taken from the last to the first."""

    @property
    def last(self) -> int:
        """Highest index; below ``start`` if there is none."""
        return self.start + (self.count - 1) * self.step

    def part(self, first: int, count: int) -> Axis:
        """``count`` of the indices, beginning with the one at position ``first``."""
        return Axis(self.start + first * self.step, count, self.step, self.single, self.backwards)


@dataclass(frozen=True)
class Selection:
    """A block of a dataset, one ``Axis`` for each of its axes."""

    axes: tuple[Axis, ...]

    @property
    def counts(self) -> tuple[int, ...]:
        return tuple(axis.count for axis in self.axes)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the result."""
        return tuple(axis.count for axis in self.axes if not axis.single)

    @property
    def points(self) -> int:
        return math.prod(self.counts)

    def touches(self, low: tuple[int, ...], high: tuple[int, ...]) -> bool:
        """Whether any point may lie within the box from ``low`` to ``high``, both included."""
        return self.points > 0 and all(
            axis.start <= last and axis.last >= first
            for axis, first, last in zip(self.axes, low, high, strict=True)
        )


def parse(text: str | None) -> tuple[int | slice, ...]:
    """The parts of a slice as written; none for no text.

    Raises:
        Problem: 400, naming the part that makes no sense.
    """
    text = (text or "").strip()
    if text.startswith("[") and text.endswith("]"):
        text = text[1:-1].strip()
    if not text:
        return ()
    if len(text) > 2000:
        raise problems.invalid("The slice is longer than any slice needs to be.")
    return tuple(_parse_part(part.strip()) for part in text.split(","))


def select(text: str | None, shape: tuple[int, ...]) -> Selection:
    """The part of a dataset of this shape that a slice means.

    Raises:
        Problem: 400 if it is not a slice, 422 if the dataset has no such part.
    """
    written = parse(text)
    if len(written) > len(shape):
        raise problems.unsuitable(
            f"The slice has {len(written)} parts and the dataset has {len(shape)} axes."
        )
    whole = (slice(None),) * (len(shape) - len(written))
    return Selection(
        tuple(
            _axis(part, length, number)
            for number, (part, length) in enumerate(zip(written + whole, shape, strict=True))
        )
    )


def _parse_part(part: str) -> int | slice:
    numbers = [piece.strip() for piece in part.split(":")]
    if len(numbers) > 3 or any(piece and not _INDEX.match(piece) for piece in numbers):
        raise problems.invalid(
            f"{part!r} is not part of a slice: give an index or start:stop:step for each axis."
        )
    if len(numbers) == 1:
        if not numbers[0]:
            raise problems.invalid("A part of the slice is empty: write ':' for a whole axis.")
        return int(numbers[0])
    values = [int(piece) if piece else None for piece in numbers]
    if len(values) == 3 and values[2] == 0:
        raise problems.invalid("A slice cannot have a step of 0.")
    return slice(*values)


def _axis(part: int | slice, length: int, number: int) -> Axis:
    if isinstance(part, int):
        index = part + length if part < 0 else part
        if not 0 <= index < length:
            raise problems.unsuitable(
                f"Index {part} is outside axis {number}, which has {length} positions."
            )
        return Axis(index, 1, 1, single=True)
    indices = range(*part.indices(length))
    if len(indices) == 0:
        return Axis(0, 0, 1)
    if indices.step > 0:
        return Axis(indices.start, len(indices), indices.step)
    return Axis(indices[-1], len(indices), -indices.step, backwards=True)
