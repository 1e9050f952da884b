"""What runs is what was checked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
from savu_api.engines import Engine, Engines, Lack
from savu_api.jobs.submission import Submission, prepare
from savu_format.process_list import ProcessList, Step, read, write

LOADER = "savu.plugins.loaders.full_field_loaders.nxtomo_loader"
STEP = Step("1", "NxtomoLoader", LOADER, True, {"data_path": "data"})


def test_a_list_replaced_while_it_is_checked_is_not_what_runs(tmp_path: Path) -> None:
    """A list is code and its ids are checked: a colleague who may replace it is not faster."""
    path = tmp_path / "list.nxs"
    write(path, ProcessList((STEP,)), overwrite=False)
    evil = ProcessList((replace(STEP, id="/visit/evil.py"),))
    with h5py.File(tmp_path / "scan.nxs", "w") as file:
        file["data"] = np.zeros((2, 2, 2))

    class Watched(Engine):
        def missing(self, process_list: ProcessList) -> list[Lack]:
            write(path, evil, overwrite=True)
            return []

    submission = Submission("full", str(path), str(tmp_path / "scan.nxs"), str(tmp_path))
    job = prepare(submission, Path, Engines([Watched("savu", available=True)]))
    assert read(path) == evil
    assert read(job.list_copy).steps == (STEP,)
