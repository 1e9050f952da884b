"""The demo's data: two visits, each with one scan as a detector leaves it.

A scan is a set of ellipsoids whose projections are computed exactly, seen by a detector with a
beam profile, photon noise, dead columns and columns whose response drifts, turning about an axis
that is not in the middle. ``phantom(scan)`` is the truth that a reconstruction can be held against.

``python -m savu_builtin.sample FOLDER`` makes the data below FOLDER and says what is in it.
"""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import h5py
import hdf5plugin
import numpy as np
from numpy.typing import NDArray
from savu_format.catalogue import load
from savu_format.process_list import JSON, ProcessList, Step, write

from savu_builtin.catalogue import catalogue

VERSION: Final = "1"
"""Written beside the data once all of it is there; another version is generated anew."""

STAMP: Final = ".sample-data"

ENTRY: Final = "entry1/tomo_entry"
DATA_PATH: Final = f"{ENTRY}/data/data"
IMAGE_KEY_PATH: Final = f"{ENTRY}/instrument/detector/image_key"

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Ellipsoid:
    """One body; lengths in pixels from the rotation axis and the middle row."""

    density: float
    """Added attenuation, in 1/pixel: bodies inside one another add up."""
    x: float
    y: float
    row: float
    semi_x: float
    semi_y: float
    semi_rows: float
    turn: float = 0.0
    """Of the horizontal semi-axes, in degrees."""


@dataclass(frozen=True)
class Scan:
    """What is scanned and how; the same scan gives the same data."""

    name: str
    title: str
    bodies: tuple[Ellipsoid, ...]
    projections: int = 241
    rows: int = 128
    columns: int = 256
    centre: float = 117.3
    """The rotation axis, in columns from the first one's middle."""
    flats: int = 10
    """Before the projections, and as many after; the same number of darks."""
    counts: float = 20_000.0
    """Photons a pixel where the beam is brightest: decides the noise."""
    dead: tuple[int, ...] = (23, 57, 146)
    """Columns stuck at one value, in turn zero and saturated."""
    fluctuating: tuple[int, ...] = (31,)
    """Columns that answer anything."""
    drifting: tuple[tuple[int, float], ...] = ((84, 0.96), (131, 1.03), (171, 0.97))
    """Columns whose response to the sample is not that of the flats: they leave rings."""
    seed: int = 1

    @property
    def angles(self) -> NDArray[np.float64]:
        """Of the projections, in degrees: half a turn, both ends included."""
        return np.linspace(0.0, 180.0, self.projections)


def bodies(radius: float, half_height: float) -> tuple[Ellipsoid, ...]:
    """A vessel with stones and voids, of this size in pixels; it differs from row to row."""
    shape = (
        # density, x, y, row, semi-axes x, y, rows, turn
        (0.50, 0.05, -0.04, 0.00, 0.62, 0.90, 1.60, 25),
        (-0.20, 0.05, -0.04, 0.00, 0.56, 0.84, 1.50, 25),
        (0.50, -0.22, 0.40, -0.45, 0.20, 0.14, 0.45, 35),
        (0.60, 0.26, 0.22, 0.10, 0.13, 0.24, 0.60, -20),
        (-0.30, 0.34, -0.42, 0.30, 0.20, 0.17, 0.60, 0),
        (0.80, 0.02, -0.60, 0.40, 0.11, 0.07, 0.45, 60),
        (0.35, -0.26, -0.20, 0.00, 0.15, 0.15, 0.85, 0),
        (-0.28, -0.12, 0.14, -0.10, 0.16, 0.07, 0.75, -50),
        (1.20, -0.28, 0.62, 0.30, 0.045, 0.045, 1.50, 0),
        (1.20, 0.47, -0.12, 0.20, 0.035, 0.06, 1.50, 15),
        (0.90, 0.05, -0.22, -0.50, 0.08, 0.05, 0.30, 80),
    )
    scale = 2.4 / radius  # the thickest path lets through some 20 %
    return tuple(
        Ellipsoid(
            density * scale,
            x * radius,
            y * radius,
            row * half_height,
            semi_x * radius,
            semi_y * radius,
            semi_rows * half_height,
            turn,
        )
        for density, x, y, row, semi_x, semi_y, semi_rows, turn in shape
    )


VESSEL: Final = Scan("vessel_00001", "A vessel with stones", bodies(108.0, 64.0))
PEBBLE: Final = Scan(
    "pebble_00007",
    "A pebble",
    (*bodies(60.0, 40.0)[2:], Ellipsoid(0.012, 3.0, -2.0, 0.0, 62.0, 47.0, 36.0, 30.0)),
    projections=181,
    rows=64,
    columns=160,
    centre=83.6,
    dead=(40, 101),
    fluctuating=(),
    drifting=((70, 0.95), (91, 1.04)),
    seed=7,
)
VISITS: Final[Mapping[str, Scan]] = {"cm10001-1": VESSEL, "cm10002-1": PEBBLE}


# -- The scan -------------------------------------------------------------------------------------


def phantom(scan: Scan, rows: slice = slice(None)) -> Floats:
    """The attenuation in 1/pixel as (voxel_x, row, voxel_z), as Savu lays out a reconstruction.

    Its middle is the rotation axis. The last axis is where the beam sees the sample from left to
    right at 0 degrees, the first one runs towards the beam.
    """
    middle = (scan.columns - 1) / 2
    x = (np.arange(scan.columns) - middle)[None, None, :]
    y = (middle - np.arange(scan.columns))[:, None, None]
    row = (np.arange(scan.rows) - (scan.rows - 1) / 2)[rows][None, :, None]
    volume = np.zeros((scan.columns, row.size, scan.columns), np.float32)
    for body in scan.bodies:
        turn = np.deg2rad(body.turn)
        along = (x - body.x) * np.cos(turn) + (y - body.y) * np.sin(turn)
        across = (y - body.y) * np.cos(turn) - (x - body.x) * np.sin(turn)
        inside = (along / body.semi_x) ** 2 + (across / body.semi_y) ** 2
        volume[inside + ((row - body.row) / body.semi_rows) ** 2 <= 1.0] += body.density
    return volume


def line_integrals(scan: Scan) -> Floats:
    """What each pixel's ray passes through, as (angle, row, column): exact."""
    angles = np.deg2rad(scan.angles).astype(np.float32)[:, None, None]
    row = (np.arange(scan.rows) - (scan.rows - 1) / 2).astype(np.float32)
    column = (np.arange(scan.columns) - scan.centre).astype(np.float32)
    integrals = np.zeros((scan.projections, scan.rows, scan.columns), np.float32)
    for body in scan.bodies:
        height = 1 - ((row - body.row) / body.semi_rows) ** 2
        cut = np.flatnonzero(height > 0)
        if not cut.size:
            continue
        part = slice(cut[0], cut[-1] + 1)
        share = height[part][None, :, None].astype(np.float32)
        width = (body.semi_x * np.cos(angles - np.deg2rad(body.turn))) ** 2 + (
            body.semi_y * np.sin(angles - np.deg2rad(body.turn))
        ) ** 2
        offset = column - (body.x * np.cos(angles) + body.y * np.sin(angles))
        chord = np.maximum(share - offset**2 / width, 0)
        np.sqrt(chord, out=chord)
        chord *= (2 * body.density * body.semi_x * body.semi_y) / np.sqrt(width)
        integrals[:, part] += chord
    return integrals


def frames(scan: Scan) -> tuple[NDArray[np.uint16], NDArray[np.uint8], NDArray[np.float64]]:
    """Counts of each frame, its image key (0 projection, 1 flat, 2 dark) and its angle."""
    noise = np.random.default_rng(scan.seed)
    fields = scan.flats
    key = np.array(
        [2] * fields + [1] * fields + [0] * scan.projections + [1] * fields + [2] * fields,
        np.uint8,
    )
    angle = np.concatenate([np.zeros(2 * fields), scan.angles, np.full(2 * fields, 180.0)])

    lit = np.exp(-line_integrals(scan))
    for column, response in scan.drifting:
        lit[:, :, column] *= response
    beam = _beam(scan, noise)
    counts = np.empty((key.size, scan.rows, scan.columns), np.float32)
    counts[key == 0] = lit * beam
    counts[key == 1] = beam
    counts[key == 2] = 0
    # Photon noise of this many counts is normal for all purposes, and drawn five times as fast.
    spread = np.sqrt(counts)
    spread += 2.0  # the electronics' own
    counts += spread * noise.standard_normal(counts.shape, np.float32)
    counts += 100.0
    for index, column in enumerate(scan.dead):
        counts[:, :, column] = 65535 * (index % 2)
    for column in scan.fluctuating:
        counts[:, :, column] = noise.uniform(100, scan.counts, counts.shape[:2])
    np.rint(counts, out=counts)
    np.clip(counts, 0, 65535, out=counts)
    return counts.astype(np.uint16), key, angle


def _beam(scan: Scan, noise: np.random.Generator) -> Floats:
    """Counts of the open beam: a broad profile, and pixels that differ by some per cent."""
    row = (np.arange(scan.rows) - 0.45 * scan.rows)[:, None] / scan.rows
    column = (np.arange(scan.columns) - 0.55 * scan.columns)[None, :] / scan.columns
    profile = np.exp(-(row**2) * 1.2 - column**2 * 0.8)
    pixels = 1 + 0.03 * noise.standard_normal((scan.rows, scan.columns))
    return (scan.counts * profile * pixels).astype(np.float32)


def write_scan(folder: Path, scan: Scan) -> Path:
    """Write ``<name>.nxs``, which links to ``<name>_frames.h5``; the path of the former."""
    counts, key, angle = frames(scan)
    frames_file = folder / f"{scan.name}_frames.h5"
    with _replacing(frames_file) as part, h5py.File(part, "w", libver="v110") as file:
        # The master's own path, because Savu's link to its input takes the path from here.
        file.attrs["default"] = "entry1"
        outer = _group(file, "entry1", "NXentry", default="tomo_entry")
        entry = _group(outer, "tomo_entry", "NXsubentry", default="data")
        data = _group(entry, "data", "NXdata", signal="data")
        data.create_dataset(
            "data", data=counts, chunks=(1, *counts.shape[1:]), **hdf5plugin.Bitshuffle(cname="lz4")
        )
    master = folder / f"{scan.name}.nxs"
    with _replacing(master) as part, h5py.File(part, "w", libver="v110") as file:
        _write_master(file, scan, frames_file.name, key, angle)
    return master


def _write_master(
    file: h5py.File,
    scan: Scan,
    frames_file: str,
    key: NDArray[np.uint8],
    angle: NDArray[np.float64],
) -> None:
    file.attrs["default"] = "entry1"
    outer = _group(file, "entry1", "NXentry", default="tomo_entry")
    entry = _group(outer, "tomo_entry", "NXsubentry", default="data")
    entry["definition"] = "NXtomo"
    entry["title"] = scan.title
    entry["start_time"] = "2026-03-02T03:12:45+00:00"
    entry["end_time"] = "2026-03-02T03:19:11+00:00"

    instrument = _group(entry, "instrument", "NXinstrument")
    instrument["name"] = "Simulated beamline"
    source = _group(instrument, "source", "NXsource")
    source["name"], source["type"], source["probe"] = "Simulated", "Synchrotron X-ray", "x-ray"
    detector = _group(instrument, "detector", "NXdetector")
    detector["data"] = h5py.ExternalLink(frames_file, f"/{DATA_PATH}")
    detector["image_key"] = key
    _quantity(detector, "x_pixel_size", 2.6, "um")
    _quantity(detector, "y_pixel_size", 2.6, "um")
    _quantity(detector, "count_time", np.full(key.size, 0.05), "s")

    sample = _group(entry, "sample", "NXsample")
    sample["name"] = scan.title
    _quantity(sample, "rotation_angle", angle, "degrees")

    # The ring's current, topped up: what a monitor shows beside each frame.
    control = _group(entry, "control", "NXmonitor", signal="data")
    _quantity(control, "data", 300 - 0.3 * (np.arange(key.size) % 40) / 40, "mA")

    data = _group(entry, "data", "NXdata", signal="data")
    data.attrs["axes"] = ["rotation_angle", ".", "."]
    data.attrs["rotation_angle_indices"] = 0
    data["data"] = h5py.ExternalLink(frames_file, f"/{DATA_PATH}")
    data["rotation_angle"] = sample["rotation_angle"]
    data["image_key"] = detector["image_key"]


def _group(parent: h5py.Group, name: str, nexus_class: str, **attributes: str) -> h5py.Group:
    group = parent.create_group(name)
    group.attrs["NX_class"] = nexus_class
    for key, value in attributes.items():
        group.attrs[key] = value
    return group


def _quantity(group: h5py.Group, name: str, value: object, units: str) -> None:
    group[name] = value
    group[name].attrs["units"] = units


class _replacing:  # noqa: N801 - reads as `with _replacing(path) as part`
    """A path to write to, which takes the place of ``path`` once it is whole."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.part = path.with_name(f".{path.name}.part")

    def __enter__(self) -> Path:
        self.part.unlink(missing_ok=True)
        return self.part

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.part.replace(self.path)
        else:
            self.part.unlink(missing_ok=True)


# -- The process list -----------------------------------------------------------------------------

STEPS: Final[tuple[tuple[str, Mapping[str, JSON]], ...]] = (
    ("NxtomoLoader", {}),
    ("DarkFlatFieldCorrection", {}),
    # Windows for a detector of some 200 columns: the defaults suit ten times as many.
    ("RemoveAllRings", {"sm_size": 5, "la_size": 21, "snr": 6.0}),
    # Three sinograms about the middle; all of them would only take longer.
    ("VoCentering", {"preview": [":", "mid-1:mid+2", ":"]}),
    ("AstraReconCpu", {"algorithm": "FBP"}),
    ("TiffSaver", {}),
)


def sample_list(steps: tuple[tuple[str, Mapping[str, JSON]], ...] = STEPS) -> ProcessList:
    """These steps with all of their parameters, as Savu keeps them. KeyError if unknown."""
    plugins = load(catalogue()).plugins
    return ProcessList(
        tuple(
            Step(
                position=str(position),
                name=name,
                id=plugins[name].id,
                active=True,
                parameters={**plugins[name].defaults(), **values},
                citations=tuple(
                    {
                        key: citation.get(key, "")
                        for key in ("description", "doi", "endnote", "bibtex")
                    }
                    for citation in plugins[name].citations
                ),
            )
            for position, (name, values) in enumerate(steps, start=1)
        )
    )


# -- The visits -----------------------------------------------------------------------------------


def generate(root: Path, groups: Mapping[str, int] | None = None) -> bool:
    """Make the visits below ``root``; whether there was anything to do.

    ``groups``: the gid that owns each visit's folders (needs root); None leaves all to the caller.
    A visit that is already there is left as its members have changed it.
    """
    root.mkdir(parents=True, exist_ok=True)
    made = [
        _generate_visit(root / visit, scan, None if groups is None else groups[visit])
        for visit, scan in VISITS.items()
    ]
    return any(made)


def _generate_visit(visit: Path, scan: Scan, gid: int | None) -> bool:
    stamp = visit / STAMP
    if (
        stamp.exists()
        and stamp.read_text() == VERSION
        and (visit / f"raw/{scan.name}.nxs").exists()
    ):
        return False
    raw, lists = visit / "raw", visit / "processing" / "process_lists"
    for folder, mode in ((visit, 0o2750), (raw, 0o2750), (lists.parent, 0o2770), (lists, 0o2770)):
        folder.mkdir(exist_ok=True)
        if gid is not None:
            os.chown(folder, -1, gid)
        folder.chmod(mode)
    stamp.unlink(missing_ok=True)
    write_scan(raw, scan)
    (raw / "README.txt").write_text(_read_me(scan))
    write(lists / "sample.nxs", sample_list(), overwrite=True)
    for file in (*raw.iterdir(), *lists.iterdir()):
        if gid is not None:
            os.chown(file, -1, gid)
        file.chmod(0o640 if file.parent == raw else 0o660)
    stamp.write_text(VERSION)
    return True


def _read_me(scan: Scan) -> str:
    text = (
        f"{scan.name}.nxs is a simulated scan: {scan.projections} projections over half a turn, "
        f"{scan.rows} rows of {scan.columns} columns, with flat and dark fields before and after. "
        f"The frames are in {scan.name}_frames.h5. The rotation axis is at column {scan.centre} "
        f"(counted from 0). Columns {', '.join(map(str, scan.dead))} are dead. The sample is a set "
        "of ellipsoids; savu_builtin/sample.py computes its true attenuation."
    )
    return textwrap.fill(text, 80) + "\n"


def main(arguments: list[str]) -> int:
    """The exit code of ``python -m savu_builtin.sample FOLDER [VISIT=GID …]``."""
    try:
        root = Path(arguments[0]).resolve()
        groups = {visit: int(gid) for visit, gid in (word.split("=") for word in arguments[1:])}
        if groups and groups.keys() != VISITS.keys():
            raise ValueError("a group for each visit, or none")
    except (IndexError, ValueError):
        usage = f"python -m savu_builtin.sample FOLDER [{'=GID '.join(VISITS)}=GID]"
        print(f"usage: {usage}", file=sys.stderr)
        return 2
    made = generate(root, groups or None)
    for visit, scan in VISITS.items():
        state = "made" if made else "is there already:"
        print(f"{state} {root / visit / 'raw' / scan.name}.nxs (axis at column {scan.centre})")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
