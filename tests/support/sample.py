"""Small scans for tests, and what is known about them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from savu_builtin.sample import Scan, bodies, sample_list, write_scan
from savu_format.process_list import JSON, ProcessList, write

SMALL = Scan(
    "small_00001",
    "A small vessel",
    bodies(40.0, 6.0),
    projections=91,
    rows=12,
    columns=96,
    centre=44.3,
    flats=3,
    dead=(20,),
    fluctuating=(),
    drifting=((60, 0.96),),
    seed=3,
)

RINGS: Mapping[str, JSON] = {"sm_size": 5, "la_size": 15, "snr": 6.0}
CENTRE: Mapping[str, JSON] = {"preview": [":", "mid-1:mid+2", ":"], "search_area": [-20, 20]}

Steps = tuple[tuple[str, Mapping[str, JSON]], ...]
FULL: Steps = (
    ("NxtomoLoader", {}),
    ("DarkFlatFieldCorrection", {}),
    ("RemoveAllRings", RINGS),
    ("VoCentering", CENTRE),
    ("AstraReconCpu", {}),
    ("TiffSaver", {}),
)
"""All that a usual list does, with windows that suit ``SMALL``."""

QUICK: Steps = (
    ("NxtomoLoader", {}),
    ("DarkFlatFieldCorrection", {}),
    ("AstraReconCpu", {"centre_of_rotation": SMALL.centre}),
)
"""A reconstruction without the steps that take time."""


def make_scan(folder: Path, scan: Scan = SMALL, **changes: object) -> Path:
    """A scan in ``folder``, as ``scan`` but for ``changes``."""
    return write_scan(folder, dataclasses.replace(scan, **changes))  # type: ignore[arg-type]


def make_list(path: Path, steps: Steps = FULL, *, off: tuple[str, ...] = ()) -> Path:
    """A process list of these steps, some of them switched off."""
    made = sample_list(steps)
    write(
        path,
        ProcessList(
            tuple(dataclasses.replace(step, active=step.name not in off) for step in made.steps)
        ),
        overwrite=True,
    )
    return path


def correlation(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Of two slices, inside the circle that a scan sees from everywhere."""
    size = one.shape[0]
    across = np.arange(size) - (size - 1) / 2
    inside = np.hypot(across[:, None], across) < 0.42 * size
    return float(np.corrcoef(one[inside], other[inside])[0, 1])
