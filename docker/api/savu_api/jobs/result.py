"""The files a run left: its NeXus file, and the last result in it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from savu_api.apart import LookFailed, apart
from savu_api.jobs.job import Result

if TYPE_CHECKING:
    import h5py

_FINAL = "final_result"


def find_output_dataset(folder: Path, dataset_stem: str) -> Path | None:
    """``<stem>_processed.nxs`` in ``folder``, else any ``*_processed.nxs``; None without one."""
    named = folder / f"{dataset_stem}_processed.nxs"
    if named.is_file():
        return named
    return max(folder.glob("*_processed.nxs"), default=None)


def find_result(output_dataset: Path) -> Result | None:
    """The last ``final_result*`` whose data opens; None if there is none or the file is damaged."""
    try:
        return apart(look, output_dataset)
    except LookFailed:
        return None


def look(output_dataset: Path) -> Result | None:
    """As ``find_result``, to be done apart."""
    import h5py

    try:
        with h5py.File(output_dataset, "r", locking=False) as file:
            entry = file.get("entry")
            names = [name for name in entry or () if name.startswith(_FINAL)]
            for name in sorted(names, key=_natural, reverse=True):
                path = f"/entry/{name}/data"
                if (shape := _shape(file, path)) is not None:
                    return Result(str(output_dataset), path, shape)
    except (OSError, RuntimeError, TypeError, ValueError):
        return None
    return None


def _shape(file: h5py.File, path: str) -> tuple[int, ...] | None:
    try:
        return tuple(int(length) for length in file[path].shape)
    except (AttributeError, KeyError, OSError, RuntimeError):  # a link to a file that is not there
        return None


def _natural(name: str) -> list[tuple[int, str]]:
    """``final_result_tomo10`` after ``final_result_tomo9``."""
    return [
        (int(part or 0), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", name)
    ]
