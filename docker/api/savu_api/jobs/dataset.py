"""A look into the data a job is to run on; done apart (:mod:`savu_api.apart`)."""

from __future__ import annotations

from pathlib import Path


class NotADataset(ValueError):
    """The file cannot be opened as HDF5; the sentence says why."""


def look(file: Path, path: str | None) -> tuple[int, ...] | None:
    """The shape of the dataset at ``path``, None without a path.

    Raises NotADataset, or LookupError if the file has no such dataset.
    """
    import h5py

    try:
        opened = h5py.File(file, "r", locking=False)
    except OSError as error:
        raise NotADataset(_why_not_hdf5(file, error)) from error
    with opened:
        if path is None:
            return None
        try:
            return tuple(int(length) for length in opened[path].shape)
        except (KeyError, AttributeError, OSError, RuntimeError, TypeError, ValueError) as error:
            raise LookupError(path) from error


def _why_not_hdf5(file: Path, error: OSError) -> str:
    import h5py

    try:
        h5py.File(file, "r", swmr=True, locking=False).close()
    except OSError:
        return f"{file} cannot be opened as an HDF5 file ({error}). Is it damaged or cut short?"
    return f"{file} is still being written: run it again once the scan is complete."
