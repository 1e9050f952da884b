"""A 2-D array as a grey picture: reduced, windowed, encoded. Pure NumPy and Pillow."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from PIL import Image

from .. import problems

Reduction = Literal["MEAN", "MAXIMUM", "MINIMUM", "POINT"]
Format = Literal["PNG", "JPG"]
MEDIA_TYPES: dict[Format, str] = {"PNG": "image/png", "JPG": "image/jpeg"}

SAMPLE = 1_000_000
"""Values that a window is computed from: more would not change it visibly."""

ROWS_AT_ONCE = 256
MAXIMUM_JPEG_SIDE = 65_500


@dataclass(frozen=True)
class Bin:
    """Blocks of ``rows`` × ``columns`` become one value."""

    reduction: Reduction
    rows: int
    columns: int


@dataclass(frozen=True)
class Window:
    """The values shown as black and as white."""

    low: float
    high: float


@dataclass(frozen=True)
class Histogram:
    """How DAWN chooses a window."""

    kind: Literal["OUTLIER_VALUES", "MEAN", "MEDIAN", "FULL_RANGE"] = "OUTLIER_VALUES"
    low: float = 5.0
    high: float = 95.0
    """Percentiles, for OUTLIER_VALUES."""


def parse_format(text: str) -> Format:
    """PNG or JPG.

    Raises:
        Problem: 400.
    """
    name = text.upper()
    if name in ("JPG", "JPEG"):
        return "JPG"
    if name == "PNG":
        return "PNG"
    raise problems.invalid(f"{text!r} is none of the formats PNG and JPG.")


def parse_bin(text: str | None) -> Bin | None:
    """``MEAN:2x3``: blocks of 2 rows and 3 columns; ``MEAN:2``: 2 and 2.

    Raises:
        Problem: 400.
    """
    if not text:
        return None
    name, _, size = text.partition(":")
    numbers = size.lower().split("x")
    if (
        name.upper() not in get_args(Reduction)
        or len(numbers) > 2
        or not all(n.isascii() and n.isdigit() and 0 < len(n) < 6 and int(n) for n in numbers)
    ):
        raise problems.invalid(
            f"bin is {text!r}; it must be {', '.join(get_args(Reduction))} and a block's rows and "
            "columns: MEAN:2x3."
        )
    return Bin(name.upper(), int(numbers[0]), int(numbers[-1]))  # type: ignore[arg-type]


def parse_histogram(text: str | None) -> Histogram:
    """``OUTLIER_VALUES:5-95``, ``MEAN``, ``MEDIAN`` or ``FULL_RANGE``.

    Raises:
        Problem: 400.
    """
    if not text:
        return Histogram()
    name, _, bounds = text.upper().partition(":")
    try:
        if name == "OUTLIER_VALUES":
            if not bounds:
                return Histogram()
            low, high = (float(bound) for bound in bounds.split("-"))
            if 0 <= low < high <= 100:
                return Histogram("OUTLIER_VALUES", low, high)
        elif name in ("MEAN", "MEDIAN", "FULL_RANGE"):
            return Histogram(name)  # type: ignore[arg-type]
    except ValueError:
        pass
    raise problems.invalid(
        f"histo is {text!r}; it must be OUTLIER_VALUES:5-95 (percentiles), MEAN, MEDIAN or "
        "FULL_RANGE."
    )


def as_image(values: np.ndarray) -> np.ndarray:
    """Real numbers on two axes, rows downwards.

    Raises:
        Problem: 422 if they are no numbers, or on more axes.
    """
    values = np.squeeze(values)
    if values.size == 0:
        raise problems.unsuitable("The slice selects nothing, so there is no image to show.")
    if values.ndim > 2:
        raise problems.unsuitable(
            f"The slice has {values.ndim} axes longer than 1; an image has at most 2. Give an "
            "index for the others."
        )
    if values.dtype.kind == "c":
        values = np.abs(values)
    if values.dtype.kind not in "biuf":
        raise problems.unsuitable("These values are not numbers, so there is no image to show.")
    if values.dtype.kind == "b":
        values = values.view(np.uint8)
    return values.reshape((1,) * (2 - values.ndim) + values.shape)


def reduce(image: np.ndarray, block: Bin) -> np.ndarray:
    """One value for each block; those at the lower and right edge may be smaller."""
    rows, columns = min(block.rows, image.shape[0]), min(block.columns, image.shape[1])
    if rows == columns == 1:
        return image
    if block.reduction == "POINT":
        return image[::rows, ::columns]
    row_starts = np.arange(0, image.shape[0], rows)
    column_starts = np.arange(0, image.shape[1], columns)
    if block.reduction == "MEAN":
        # Rows first: whole rows are added at once, and few are left for the slower direction.
        total = np.add.reduceat(image, row_starts, axis=0, dtype=np.float64)
        total = np.add.reduceat(total, column_starts, axis=1)
        heights = np.diff(np.append(row_starts, image.shape[0]))
        widths = np.diff(np.append(column_starts, image.shape[1]))
        return (total / heights[:, None] / widths[None, :]).astype(np.float32)
    ufunc = np.maximum if block.reduction == "MAXIMUM" else np.minimum
    return ufunc.reduceat(ufunc.reduceat(image, row_starts, axis=0), column_starts, axis=1)


def to_width(image: np.ndarray, width: int) -> np.ndarray:
    """Mean of square blocks, so that no more than ``width`` columns are left."""
    factor = math.ceil(image.shape[1] / width)
    return reduce(image, Bin("MEAN", factor, factor))


def find_window(image: np.ndarray, histogram: Histogram) -> Window:
    """The window DAWN would choose; of not finite values nothing is counted."""
    step = max(1, math.isqrt(image.size // SAMPLE))
    sample = image[::step, ::step]
    if image.shape[0] == 1:
        sample = image[:, :: max(1, image.size // SAMPLE)]
    sample = sample.astype(np.float64).ravel()
    sample = sample[np.isfinite(sample)]
    if sample.size == 0:
        return Window(0.0, 1.0)
    if histogram.kind == "OUTLIER_VALUES":
        low, high = np.percentile(sample, (histogram.low, histogram.high))
        return Window(float(low), float(high))
    least, greatest = float(sample.min()), float(sample.max())
    if histogram.kind == "MEAN":
        greatest = min(greatest, math.e * float(sample.mean()))
    elif histogram.kind == "MEDIAN":
        greatest = min(greatest, 2 * float(np.median(sample)))
    return Window(least, greatest)


def to_grey(image: np.ndarray, window: Window) -> np.ndarray:
    """0 at and below the window's low end, 255 at and above its high one; NaN is 0."""
    grey = np.empty(image.shape, np.uint8)
    width = window.high - window.low
    for start in range(0, image.shape[0], ROWS_AT_ONCE):
        rows = image[start : start + ROWS_AT_ONCE].astype(np.float64)
        if width > 0 and math.isfinite(width):
            with np.errstate(over="ignore", invalid="ignore"):
                scaled = (rows - window.low) * (255.0 / width)
        else:
            scaled = np.where(rows > window.low, 255.0, 0.0)
        np.nan_to_num(scaled, copy=False, nan=0.0, posinf=255.0, neginf=0.0)
        grey[start : start + ROWS_AT_ONCE] = np.rint(np.clip(scaled, 0, 255))
    return grey


def encode(grey: np.ndarray, format: Format) -> memoryview:
    """The picture as a file.

    Raises:
        Problem: 422 if it is larger than the format allows.
    """
    if format == "JPG" and max(grey.shape) > MAXIMUM_JPEG_SIDE:
        raise problems.unsuitable(
            f"A JPG has at most {MAXIMUM_JPEG_SIDE} rows and columns: ask for PNG, or reduce it."
        )
    buffer = io.BytesIO()
    image = Image.fromarray(grey)
    if format == "PNG":
        # Level 1: noise hardly compresses further, and the network is the session's own.
        image.save(buffer, "PNG", compress_level=1)
    else:
        image.save(buffer, "JPEG", quality=90)
    return buffer.getbuffer()
