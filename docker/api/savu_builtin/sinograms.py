"""Takes a dataset through sinogram by sinogram, all cores at work on a few rows at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from savu_builtin.context import Run
from savu_builtin.datasets import Dataset, Stored, blocks, float_bytes
from savu_builtin.plan import PlannedStep

Floats = NDArray[np.float32]


def by_rows(dataset: Dataset, run: Run) -> Dataset:
    """The same data where single rows are read without decoding whole frames again and again.

    A detector's file has a compressed frame a chunk: reading it in ten blocks of rows would decode
    it ten times, so it is copied once. The copy is removed when the run ends.
    """
    angles, rows, columns = dataset.shape
    passes = len(list(blocks(rows, float_bytes(angles, columns))))
    if not dataset.frames_are_whole or passes <= 2:
        return dataset
    copy = Stored(scratch_path(run.folder, dataset.name), "copy", dataset.shape)
    run.scratch.append(copy)
    for part in blocks(angles, float_bytes(rows, columns)):
        copy.write(
            (part, slice(None), slice(None)), dataset.read(part, slice(0, rows), slice(0, columns))
        )
        run.stop_if_asked()
    return Dataset(
        dataset.name, dataset.kind, dataset.shape, copy, dataset.axis_values, dataset.metadata
    )


def scratch_path(folder: Path, name: str) -> Path:
    """Where the copy of a dataset is while the run needs it."""
    return folder / f".scratch_{name}.h5"


def map_sinograms(
    step: PlannedStep,
    run: Run,
    dataset: Dataset,
    function: Callable[[Any], Any],
    *,
    result_bytes: int,
    angles: slice,
    rows: range,
    task: Callable[[Floats, int], Any] = lambda sinogram, row: sinogram,
) -> Iterator[tuple[int, Any]]:
    """``function(task(sinogram, row))`` for each of ``rows``, with its place among them.

    ``result_bytes``: of one result, to bound what is held. Tells the progress.
    """
    width = dataset.shape[2]
    each = float_bytes(len(range(*angles.indices(dataset.shape[0]))), width) + result_bytes
    source = by_rows(dataset, run)

    def tasks() -> Iterator[Any]:
        for part in blocks(len(rows), each):
            chosen = rows[part]
            block = source.read(
                slice(0, dataset.shape[0]), slice(chosen[0], chosen[-1] + 1), slice(0, width)
            )
            block = block[angles]
            for row in chosen:
                sinogram = np.ascontiguousarray(block[:, row - chosen[0]], np.float32)
                yield task(sinogram, row)

    for place, result in enumerate(run.workers.map(function, tasks())):
        yield place, result
        run.progress(step, (place + 1) / len(rows))
