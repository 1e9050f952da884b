"""The mathematics on one sinogram or slice, by algotom and scikit-image.

Sinograms are (angle, column), float32. Columns and centres count from the middle of column 0.
"""

from __future__ import annotations

import functools
import warnings
from typing import Any, Final

import numba
import numpy as np
from algotom.prep.calculation import find_center_vo
from algotom.prep.removal import remove_all_stripe
from algotom.rec.reconstruction import apply_ramp_filter, back_projection_cpu, make_2d_ramp_window
from numpy.typing import NDArray
from scipy import ndimage
from skimage.transform import iradon

Floats = NDArray[np.float32]

SMALLEST_TRANSMISSION: Final = 1e-6

WINDOWS: Final = {
    # Of the frequency in cycles a column, -0.5 to 0.5.
    "ram-lak": np.ones_like,
    "shepp-logan": np.sinc,
    "cosine": lambda frequency: np.cos(np.pi * frequency),
    "hamming": lambda frequency: 0.54 + 0.46 * np.cos(2 * np.pi * frequency),
    "hann": lambda frequency: 0.5 + 0.5 * np.cos(2 * np.pi * frequency),
}


def attenuation(sinogram: Floats) -> tuple[Floats, int]:
    """Minus the logarithm, and how many values had none.

    Those, zero, negative or not numbers, count as the least light that the sinogram shows.
    """
    usable = np.isfinite(sinogram) & (sinogram > 0)
    missing = int(usable.size - np.count_nonzero(usable))
    if missing:
        least = sinogram[usable].min() if missing < usable.size else 1.0
        sinogram = np.where(usable, sinogram, max(least, SMALLEST_TRANSMISSION))
    return -np.log(sinogram, dtype=np.float32), missing


def remove_rings(sinogram: Floats, *, snr: float, large: int, small: int) -> Floats:
    """The sinogram without stripes. Raises ValueError if it has no noise to compare with."""
    width = sinogram.shape[1]
    sinogram = fill_dead_columns(np.nan_to_num(sinogram))
    return np.asarray(
        remove_all_stripe(
            sinogram,
            snr=max(snr, 1.0),
            la_size=min(max(large, 1), width - 1),
            sm_size=min(max(small, 1), width - 1),
        ),
        dtype=np.float32,
    )


def fill_dead_columns(sinogram: Floats) -> Floats:
    """Columns that show one value only, filled from their neighbours.

    The methods that follow divide by the mean of a column and by how much it changes.
    """
    dead = np.ptp(sinogram, axis=0) == 0
    if not dead.any() or dead.all():
        return sinogram
    columns = np.arange(dead.size)
    alive = columns[~dead]
    filled = sinogram.copy()
    after = np.clip(np.searchsorted(alive, columns[dead]), 1, alive.size - 1)
    if alive.size == 1:
        filled[:, dead] = sinogram[:, alive]
        return filled
    left, right = alive[after - 1], alive[after]
    share = np.clip((columns[dead] - left) / (right - left), 0, 1).astype(np.float32)
    filled[:, dead] = sinogram[:, left] * (1 - share) + sinogram[:, right] * share
    return filled


def find_centre(
    sinogram: Floats,
    *,
    start: float,
    stop: float,
    step: float,
    radius: float,
    ratio: float,
    row_drop: int,
) -> tuple[float, bool]:
    """Column of the rotation axis, and whether the least value was inside the range searched."""
    angles, width = sinogram.shape
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = find_center_vo(
            np.nan_to_num(sinogram),
            start=int(np.clip(np.floor(min(start, stop)), 0, width - 1)),
            stop=int(np.clip(np.ceil(max(start, stop)), 0, width - 1)),
            step=float(np.clip(abs(step), 0.1, 1.1)),
            radius=radius,
            ratio=ratio,
            ncore=1,
            hor_drop=min(row_drop, int(np.ceil(0.1 * angles))),
        )
    outside = any("out of the searching range" in str(warning.message) for warning in caught)
    return float(found), not outside


def filtered_back_projection(
    task: tuple[Floats, float],
    *,
    angles: NDArray[np.float64],
    size: int,
    window: str,
    log: bool,
) -> tuple[Floats, int]:
    """A square slice of ``size`` pixels about the axis, and how many values had no logarithm.

    ``task``: a sinogram and its centre; ``angles`` in degrees. The last axis of the slice is where
    the beam sees it from left to right at 0 degrees, the first one runs towards the beam.
    """
    sinogram, centre = task
    sinogram, missing = attenuation(sinogram) if log else (np.nan_to_num(sinogram), 0)
    rows, width = sinogram.shape
    padding = width // 2
    filtered = apply_ramp_filter(
        sinogram, _ramp(rows, width + 2 * padding, window), pad=padding, pad_mode="edge"
    )
    # The slice is as wide as what is projected back, so widen that, keeping pixels on columns.
    left = max(0, -(-(size - width) // 2))
    right = left + (size - width - 2 * left) % 2
    wide = np.pad(filtered, ((0, 0), (left, right))).astype(np.float32)
    # Its loop over angles is parallel and adds to the same pixels: wrong with a second thread.
    numba.set_num_threads(1)
    slice_ = back_projection_cpu(
        wide, np.deg2rad(angles).astype(np.float32), np.float32(centre + left)
    )
    cut = (wide.shape[1] - size) // 2
    return slice_[cut : cut + size, cut : cut + size] * np.float32(np.pi / rows), missing


@functools.lru_cache(maxsize=2)
def _ramp(rows: int, width: int, window: str) -> NDArray[np.complex128]:
    frequency = np.fft.fftshift(np.fft.fftfreq(width))
    ramp: NDArray[np.complex128] = make_2d_ramp_window(rows, width) * WINDOWS[window](frequency)
    return ramp


def inverse_radon(
    task: tuple[Floats, float],
    *,
    angles: NDArray[np.float64],
    window: str | None,
    interpolation: str,
    circle: bool,
    log: bool,
) -> tuple[Floats, int]:
    """As ``filtered_back_projection``, by scikit-image."""
    sinogram, centre = task
    sinogram, missing = attenuation(sinogram) if log else (np.nan_to_num(sinogram), 0)
    columns = np.swapaxes(sinogram, 0, 1)
    shifted = ndimage.shift(columns, (columns.shape[0] // 2 - centre, 0))
    slice_ = iradon(
        shifted,
        theta=angles,
        output_size=columns.shape[0],
        filter_name=window,
        interpolation=interpolation,
        circle=circle,
    )
    return np.asarray(slice_, dtype=np.float32), missing


def warm_up(_: Any = None) -> None:
    """Compile, or fetch from numba's cache, what is compiled."""
    filtered_back_projection(
        (np.ones((2, 4), np.float32), 1.5), angles=np.zeros(2), size=4, window="ram-lak", log=True
    )
