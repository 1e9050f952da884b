"""The plugins: one function each, which makes the step's datasets and returns what to report.

The kernels, whose libraries take a second to import, are imported by the steps that want them: a
list or scan that cannot be used is refused at once.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import numpy as np
import tifffile
from numpy.typing import NDArray

from savu_builtin import nxtomo
from savu_builtin.context import Run, derived
from savu_builtin.datasets import PATTERNS, Dataset, blocks, float_bytes
from savu_builtin.errors import DataUnusable, StepFailed
from savu_builtin.plan import PlannedStep
from savu_builtin.previews import length, parse_preview
from savu_builtin.sinograms import by_rows, map_sinograms

Report = list[str]
NOTHING: Final[Report] = ["Nothing to Report"]
MAX_IMAGES: Final = 100_000


def load_scan(step: PlannedStep, run: Run) -> Report:
    """NxtomoLoader: open the scan; frames are read when a step wants them."""
    values: Any = step.parameters
    file = nxtomo.open_scan(run.scan)
    data = nxtomo.find_dataset(file, values["data_path"])
    if data.ndim != 3 or data.dtype.kind not in "uif":
        raise DataUnusable(
            f"{values['data_path']} is not a stack of frames: it has {data.ndim} axes of type "
            f"{data.dtype}."
        )
    key = nxtomo.image_key(file, values["image_key_path"], data.shape[0], values["ignore_flats"])
    angles, warning = nxtomo.angles_of(file, key, values["angles"])
    projections = np.flatnonzero(key == nxtomo.PROJECTION)
    taken = _preview(values["preview"], (projections.size, *data.shape[1:]))
    angles = angles[taken[0]]

    frames = nxtomo.Frames(data, projections, taken)
    fields: dict[str, NDArray[np.float32]] = {}
    for name, kind in (("dark", nxtomo.DARK), ("flat", nxtomo.FLAT)):
        path, entry, scale = values[name]
        if path is not None:
            fields[name] = np.float32(scale) * nxtomo.separate_field(
                path, entry, kind, data.shape[1:], taken[1], taken[2]
            )
        elif (key == kind).any():
            fields[name] = nxtomo.mean_field(data, np.flatnonzero(key == kind), taken[1], taken[2])
    run.datasets[step.results[0]] = dataset = Dataset(
        name=step.results[0],
        kind="scan",
        shape=tuple(length(part) for part in taken),
        source=frames,
        axis_values={
            "rotation_angle": angles,
            "detector_y": np.arange(data.shape[1])[taken[1]],
            "detector_x": np.arange(data.shape[2])[taken[2]],
        },
        metadata={
            "rotation_angle": angles,
            "projection_shifts": np.zeros((angles.size, 2)),
        },
        fields=fields,
        frames_are_whole=frames.frames_are_whole,
        previewed=bool(values["preview"]),
    )
    run.result.add_input(dataset, run.scan, values["data_path"])
    return [warning] if warning else []


def _preview(preview: Any, shape: tuple[int, ...]) -> tuple[slice, slice, slice]:
    try:
        first, second, third = parse_preview(preview, shape)
    except ValueError as error:
        raise StepFailed(str(error)) from error
    return first, second, third


def correct_fields(step: PlannedStep, run: Run) -> Report:
    """DarkFlatFieldCorrection: counts to transmissions, some frames at a time."""
    values: Any = step.parameters
    dataset = run.dataset(step)
    frames, rows, columns = dataset.shape
    for name, number in (("dark", nxtomo.DARK), ("flat", nxtomo.FLAT)):
        if name not in dataset.fields:
            raise StepFailed(
                f"The scan has no {name} field: no frame has the image key {number}, and the "
                f"loader's parameter {name} names no file."
            )
    dark = dataset.fields["dark"]
    open_beam = dataset.fields["flat"] - dark
    open_beam[open_beam == 0] = 1
    stored = run.store(step, step.results[0], dataset.shape)
    low, high = values["lower_bound"], values["upper_bound"]
    outside = np.zeros(2, np.int64)
    # A quarter: the frames as they are, their transmissions, and what NumPy needs in between.
    for part in blocks(frames, 4 * float_bytes(rows, columns)):
        block = dataset.read(part, slice(0, rows), slice(0, columns)).astype(np.float32)
        block -= dark
        block /= open_beam
        np.nan_to_num(block, copy=False)
        outside += _clip(block, low, high)
        stored.write((part, slice(None), slice(None)), block)
        run.progress(step, part.stop / frames)
    result = derived(dataset, step.results[0], "projections", dataset.shape, stored)
    run.finish(step, result, stored)
    share = outside / (frames * rows * columns)
    return [
        f"WARNING: {100 * part:.1f}% of pixels were {side} the bound {bound} and set to it. "
        "Check your dark and flat fields."
        for part, side, bound in zip(share, ("below", "above"), (low, high), strict=True)
        if part > values["warn_proportion"]
    ] or NOTHING


def _clip(block: NDArray[np.float32], low: float | None, high: float | None) -> NDArray[np.int64]:
    """Clip in place; how many values were below and above."""
    below = above = 0
    if low is not None:
        below = int(np.count_nonzero(block < low))
        np.maximum(block, np.float32(low), out=block)
    if high is not None:
        above = int(np.count_nonzero(block > high))
        np.minimum(block, np.float32(high), out=block)
    return np.array([below, above])


def remove_rings(step: PlannedStep, run: Run) -> Report:
    """RemoveAllRings."""
    from savu_builtin import kernels

    values: Any = step.parameters
    dataset = run.dataset(step)
    angles, rows, columns = dataset.shape
    if columns < 8 or angles < 2:
        raise StepFailed(f"Sinograms of {angles} × {columns} are too small to find stripes in.")
    stored = run.store(step, step.results[0], dataset.shape)
    function = functools.partial(
        kernels.remove_rings,
        snr=float(values["snr"]),
        large=values["la_size"],
        small=values["sm_size"],
    )
    writer = _RowWriter(stored.write, rows, float_bytes(angles, columns))
    for row, sinogram in map_sinograms(
        step,
        run,
        dataset,
        function,
        result_bytes=float_bytes(angles, columns),
        angles=slice(0, angles),
        rows=range(rows),
    ):
        writer.add(row, sinogram)
    result = derived(dataset, step.results[0], "projections", dataset.shape, stored)
    run.finish(step, result, stored)
    return NOTHING


class _RowWriter:
    """Collects planes of the middle axis and writes some at once: each is scattered on disk."""

    def __init__(self, write: Callable[..., None], rows: int, bytes_each: int) -> None:
        self._write = write
        self._ends = {part.stop for part in blocks(rows, 4 * bytes_each)}
        self._planes: list[NDArray[np.float32]] = []

    def add(self, row: int, plane: NDArray[np.float32]) -> None:
        self._planes.append(plane)
        if row + 1 in self._ends:
            first = row + 1 - len(self._planes)
            self._write(
                (slice(None), slice(first, row + 1), slice(None)), np.stack(self._planes, 1)
            )
            self._planes.clear()


def find_centre(step: PlannedStep, run: Run) -> Report:
    """VoCentering: from some sinograms, for all of them."""
    from savu_builtin import kernels

    values: Any = step.parameters
    dataset = run.dataset(step)
    rows, columns = dataset.shape[1:]
    taken = _preview(values["preview"], dataset.shape)
    if length(taken[2]) != columns:
        raise StepFailed("The preview may choose rows and angles, not columns.")
    chosen = range(taken[1].start, taken[1].stop, taken[1].step)
    first = (columns - 1) / 2 if values["start_pixel"] is None else values["start_pixel"]
    below, above = values["search_area"]
    function = functools.partial(
        kernels.find_centre,
        start=first + below,
        stop=first + above,
        step=values["step"],
        radius=values["search_radius"],
        ratio=values["ratio"],
        row_drop=values["row_drop"],
    )
    averaged = _averaged(dataset, run, taken[0], chosen, max(0, values["average_radius"]))
    centres = np.empty(len(chosen), np.float32)
    sure = True
    for index, (centre, inside) in enumerate(run.workers.map(function, averaged)):
        centres[index] = centre
        sure = sure and inside
        run.progress(step, (index + 1) / len(chosen))
    everywhere = _broadcast(centres, chosen, rows, values["broadcast_method"])
    for name, found in zip(step.results, (centres, everywhere), strict=True):
        stored = run.store(step, name, (found.size, 1))
        stored.write((slice(None), slice(None)), found[:, None])
        stored.flush()
        run.datasets[name] = Dataset(
            name, "centres", (found.size, 1), stored, {}, {"centre_of_rotation": everywhere}
        )
    for name in (dataset.name, *values["datasets_to_populate"]):
        if name not in run.datasets:
            raise StepFailed(f"datasets_to_populate names {name!r}, and there is no such dataset.")
        run.datasets[name].metadata |= {"cor_preview": centres, "centre_of_rotation": everywhere}
    report = [f"Centre of rotation is : {float(np.median(everywhere))}"]
    if not sure:
        report.append(
            "WARNING: the best centre lies at the end of what was searched. Widen search_area."
        )
    return report


def _averaged(
    dataset: Dataset, run: Run, angles: slice, chosen: range, radius: int
) -> Iterator[NDArray[np.float32]]:
    """Each chosen sinogram, averaged with its neighbours up to ``radius`` rows away."""
    count, rows, columns = dataset.shape
    source = by_rows(dataset, run) if len(chosen) > 2 else dataset
    for row in chosen:
        near = slice(max(0, row - radius), min(rows, row + radius + 1))
        total = np.zeros((length(angles), columns), np.float32)
        for part in blocks(near.stop - near.start, float_bytes(count, columns)):
            some = slice(near.start + part.start, near.start + part.stop)
            block = source.read(slice(0, count), some, slice(0, columns))[angles]
            total += block.sum(axis=1, dtype=np.float32)
        yield total / (near.stop - near.start)


def _broadcast(
    centres: NDArray[np.float32], chosen: range, rows: int, method: str
) -> NDArray[np.float32]:
    """The centre of each row from those of some."""
    every = np.arange(rows)
    if method == "linear_fit" and len(chosen) > 1:
        slope, offset = np.polyfit(chosen, centres, 1)
        return (every * slope + offset).astype(np.float32)
    if method == "nearest":
        nearest = np.abs(every[:, None] - np.array(chosen)[None, :]).argmin(axis=1)
        return centres[nearest]
    middle = np.mean(centres) if method == "mean" else np.median(centres)
    return np.full(rows, middle, np.float32)


def reconstruct(
    step: PlannedStep, run: Run, function: Callable[..., Any], size: int, log: bool
) -> Report:
    """Slice after slice; ``function((sinogram, centre), angles=…)`` makes one."""
    values: Any = step.parameters
    dataset = run.dataset(step)
    report: Report = []
    taken = _preview(values["preview"], dataset.shape)
    if values["preview"] and dataset.previewed:
        report.append("WARNING: Ignoring preview parameters as a preview has already been applied.")
        taken = _preview([], dataset.shape)
    if length(taken[2]) != dataset.shape[2]:
        raise StepFailed("The preview may choose rows and angles, not columns.")
    rows = range(taken[1].start, taken[1].stop, taken[1].step)
    centres = _centres(values["centre_of_rotation"], dataset, run)
    outside = [row for row in rows if not 0 <= centres[row] <= dataset.shape[2] - 1]
    if outside:
        raise StepFailed(
            f"The centre of rotation {centres[outside[0]]:g} is not between the columns 0 and "
            f"{dataset.shape[2] - 1}."
        )
    angles = dataset.metadata["rotation_angle"]
    shape = (size, len(rows), size)
    stored = run.store(step, step.results[0], shape)
    writer = _RowWriter(stored.write, len(rows), float_bytes(size, size))
    finishing = _finishing(values, size, step.name)
    missing = 0
    for place, (slice_, without) in map_sinograms(
        step,
        run,
        dataset,
        functools.partial(function, angles=angles[taken[0]], log=log),
        result_bytes=float_bytes(size, size),
        angles=taken[0],
        rows=rows,
        task=lambda sinogram, row: (sinogram, float(centres[row])),
    ):
        missing += without
        writer.add(place, finishing(slice_))
    result = derived(
        dataset,
        step.results[0],
        "volume",
        shape,
        stored,
        axis_values={
            "voxel_x": np.arange(size),
            "voxel_y": dataset.axis_values["detector_y"][taken[1]],
            "voxel_z": np.arange(size),
        },
    )
    result.metadata |= {
        "rotation_angle": angles,
        "centre_of_rotation": centres.astype(np.float32),
        "detector_x_length": np.int64(dataset.shape[2]),
    }
    run.finish(step, result, stored)
    if missing:
        report.append(
            f"{missing} values had no logarithm (no light) and count as the least light of their "
            "sinogram."
        )
    return report or NOTHING


def _centres(given: Any, dataset: Dataset, run: Run) -> NDArray[np.float64]:
    """The centre of each row: one that a step found before one that the list gives."""
    rows, columns = dataset.shape[1:]
    if isinstance(given, str):
        found = run.datasets[given].metadata["centre_of_rotation"]
        return np.asarray(found, np.float64)
    if "centre_of_rotation" in dataset.metadata:
        return np.asarray(dataset.metadata["centre_of_rotation"], np.float64)
    if isinstance(given, Mapping):
        if not given:
            raise StepFailed("centre_of_rotation names no row.")
        at = np.array([float(row) for row in given])
        columns_there = np.array([float(column) for column in given.values()])
        fit = np.polyfit(at, columns_there, min(1, len(at) - 1))
        return np.asarray(np.polyval(fit, np.arange(rows)), np.float64)
    return np.full(rows, given or columns / 2.0, np.float64)


def _finishing(
    values: Any, size: int, plugin: str
) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    """What is done to each slice last: the circle and the bounds, as in Savu."""
    low, high = values["force_zero"]
    mask = None
    if plugin == "AstraReconCpu":
        ratio, fill = values["ratio"] if isinstance(values["ratio"], list) else (values["ratio"], 0)
        across = np.linspace(-size / 2, size / 2, size)
        mask = across[:, None] ** 2 + across**2 >= ((size - 1) * ratio / 2) ** 2

    def finish(slice_: NDArray[np.float32]) -> NDArray[np.float32]:
        slice_ = np.nan_to_num(slice_)
        if mask is not None:
            # Savu multiplies what is outside by the second number.
            slice_[mask] *= fill
        if low is not None:
            slice_[slice_ < low] = 0
        if high is not None:
            slice_[slice_ > high] = 0
        return slice_

    return finish


def reconstruct_with_algotom(step: PlannedStep, run: Run) -> Report:
    """AstraReconCpu with FBP."""
    from savu_builtin import kernels

    values: Any = step.parameters
    columns = run.dataset(step).shape[2]
    size = columns if values["vol_shape"] in ("fixed", "auto") else values["vol_shape"]
    function = functools.partial(
        kernels.filtered_back_projection, size=size, window=values["FBP_filter"]
    )
    report = reconstruct(step, run, function, size, values["log"])
    note = "Back-projected by algotom with linear interpolation, in place of the ASTRA Toolbox."
    return [note, *(line for line in report if line not in NOTHING)]


def reconstruct_with_scikit_image(step: PlannedStep, run: Run) -> Report:
    """ScikitimageFilterBackProjection."""
    from savu_builtin import kernels

    values: Any = step.parameters
    columns = run.dataset(step).shape[2]
    function = functools.partial(
        kernels.inverse_radon,
        window=None if values["filter"] in (None, "None") else values["filter"],
        interpolation=values["interpolation"],
        circle=values["circle"],
    )
    return reconstruct(step, run, function, columns, values["log"])


def save_tiff(step: PlannedStep, run: Run) -> Report:
    """TiffSaver: a file a plane."""
    values: Any = step.parameters
    dataset = run.dataset(step)
    axis = PATTERNS[dataset.kind][values["pattern"]][1][0]
    planes = dataset.shape[axis]
    if planes > MAX_IMAGES:
        raise StepFailed(f"{planes} images are too many: at most {MAX_IMAGES}.")
    # As Savu counts: one less than in the names of other steps' files.
    folder = run.folder / f"TiffSaver_{step.number - 1}"
    folder.mkdir(exist_ok=True)
    prefix = values["prefix"] or f"img_{run.scan.stem}_"
    plane_bytes = float_bytes(*(size for other, size in enumerate(dataset.shape) if other != axis))
    for part in blocks(planes, plane_bytes):
        selection = [slice(0, size) for size in dataset.shape]
        selection[axis] = part
        block = np.moveaxis(dataset.read(*selection), axis, 0)
        for index, plane in enumerate(block, start=part.start):
            tifffile.imwrite(folder / f"{prefix}{index:05d}.tiff", np.ascontiguousarray(plane))
            run.progress(step, (index + 1) / planes)
    return NOTHING


def save_hdf5(step: PlannedStep, run: Run) -> Report:
    """Hdf5Saver: every result is in an HDF5 file already."""
    dataset = run.dataset(step)
    source = dataset.source
    path = getattr(source, "path", run.scan)
    run.progress(step, 1.0)
    return [f"{dataset.name} is in {path.name} already."]


STEPS: Final[Mapping[str, Callable[[PlannedStep, Run], Report]]] = {
    "NxtomoLoader": load_scan,
    "DarkFlatFieldCorrection": correct_fields,
    "RemoveAllRings": remove_rings,
    "VoCentering": find_centre,
    "AstraReconCpu": reconstruct_with_algotom,
    "ScikitimageFilterBackProjection": reconstruct_with_scikit_image,
    "TiffSaver": save_tiff,
    "Hdf5Saver": save_hdf5,
}
