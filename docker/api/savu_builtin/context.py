"""What the steps of one run share."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from savu_builtin.datasets import AXES, Dataset, Kind, Readable, Stored
from savu_builtin.errors import Interrupted
from savu_builtin.plan import PlannedStep
from savu_builtin.result_file import ResultFile
from savu_builtin.user_log import UserLog
from savu_builtin.workers import Workers

FLUSH_SECONDS = 2.0


@dataclass
class Run:
    """One run: where it reads and writes, and the datasets there are at the moment."""

    scan: Path
    folder: Path
    plan: tuple[PlannedStep, ...]
    log: UserLog
    result: ResultFile
    workers: Workers
    datasets: dict[str, Dataset] = field(default_factory=dict)
    scratch: list[Stored] = field(default_factory=list)
    """Files that are removed when the run ends."""
    _stored: list[Stored] = field(default_factory=list)
    _flushed: float = 0.0

    def dataset(self, step: PlannedStep) -> Dataset:
        """What this step takes."""
        return self.datasets[step.source]

    def store(self, step: PlannedStep, name: str, shape: tuple[int, ...]) -> Stored:
        """A file for one result of this step."""
        group = f"{step.number}-{step.name}-{name}"
        stored = Stored(self.folder / f"{name}_p{step.number}_{step.module}.h5", group, shape)
        self._stored.append(stored)
        return stored

    def finish(self, step: PlannedStep, dataset: Dataset, stored: Stored) -> None:
        """The result of this step is whole: link it and hand it to the steps after."""
        stored.flush()
        self.datasets[dataset.name] = dataset
        later = self.plan[step.number + 1 :]
        final = all(dataset.name not in further.results for further in later)
        self.result.add_result(dataset, stored, final=final)

    def progress(self, step: PlannedStep, fraction: float) -> None:
        """Tell how far the step is. Raises Interrupted if the run is to end."""
        now = time.monotonic()
        if now - self._flushed > FLUSH_SECONDS:
            self._flushed = now
            for stored in self._stored[-2:]:
                stored.flush()
        self.log.percent(step.name, fraction)
        self.stop_if_asked()

    def stop_if_asked(self) -> None:
        """Raises Interrupted if the file ``killsignal`` is in the folder of the run."""
        if (self.folder / "killsignal").exists():
            raise Interrupted("Somebody asked for the run to end.")

    def close(self) -> None:
        """Close every file: what was written is on disk. Raises OSError or RuntimeError if not."""
        while self._stored:
            self._stored[-1].close()
            self._stored.pop()

    def abandon(self) -> None:
        """Close what is still open, whatever happens, and remove what only the run needed."""
        for stored in (*self._stored, *self.scratch):
            # On a full disk a file cannot even be closed; why the run failed is said already.
            with contextlib.suppress(OSError, RuntimeError):
                stored.close()
        for stored in self.scratch:
            stored.path.unlink(missing_ok=True)


def derived(
    dataset: Dataset,
    name: str,
    kind: Kind,
    shape: tuple[int, ...],
    source: Readable,
    *,
    axis_values: Mapping[str, NDArray[Any]] | None = None,
) -> Dataset:
    """A dataset made from this one; axes that are not given stay as they are."""
    values = {**dataset.axis_values, **(axis_values or {})}
    return Dataset(
        name=name,
        kind=kind,
        shape=shape,
        source=source,
        axis_values={axis: values[axis] for axis, _ in AXES[kind]},
        metadata=dict(dataset.metadata),
        previewed=dataset.previewed,
    )
