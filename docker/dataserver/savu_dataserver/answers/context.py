"""What a request is answered with: its bounds, its files, and whoever waits for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import h5py

from .. import limits, problems
from ..hdf5 import links, reading, selection, storage
from ..hdf5.files import Files


class Heavy(Exception):
    """More than a worker that must stay quick may read."""


@dataclass(frozen=True)
class Context:
    """Lives as long as one request."""

    files: Files
    max_bytes: int
    tick: Callable[[], None]
    quick: bool
    """Whether other requests wait for this worker, and much reading is left to another."""

    def find(self, file: str, path: str) -> links.Found:
        """The object at a path, through all links that stay inside the data roots."""
        links.check_inner_path(path)
        found = links.follow(self.files, links.root(self.files.open(file)), "/" + path.lstrip("/"))
        if isinstance(found.entity, h5py.Dataset):
            storage.check_before_shape(self.files, found)
        return found

    def find_dataset(self, file: str, path: str) -> links.Found:
        """As ``find``; a group or type at the path is 422."""
        found = self.find(file, path)
        if not isinstance(found.entity, h5py.Dataset):
            raise problems.unsuitable(f"{path} is not a dataset, so it holds no values.")
        return found

    def read(self, found: links.Found, text: str | None) -> reading.Values:
        """The values of a slice of a dataset.

        Raises:
            Heavy: this worker must stay quick, and it would not.
        """
        dataset = found.entity
        if dataset.shape is None:
            return None
        try:
            chosen = selection.select(text, dataset.shape)
            reading.check_size(dataset, chosen, self.max_bytes)
            heavy = reading.decoded_bytes(dataset, chosen) > limits.QUICK_BYTES
        except TypeError:
            raise problems.unsuitable("Values of this type cannot be shown.") from None
        # A first answer for what is refused anyway: the check is repeated by who reads.
        if self.quick and (heavy or storage.is_virtual(dataset)):
            raise Heavy
        storage.check_before_reading(self.files, found, chosen)
        return reading.read(dataset, chosen, self.max_bytes, self.tick)
