"""``<scan>_processed.nxs``: what was run on what, by whom, and links to all that came out."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np
from savu_format.process_list import CITATION_FIELDS, ProcessList, serialize
from savu_format.whole_file import write_whole

from savu_builtin.datasets import AXES, PATTERNS, Dataset, Stored
from savu_builtin.provenance import STATEMENT, citations, versions

PROCESS: Final = "entry/process"


class ResultFile:
    """The file, kept in memory and written anew, whole, whenever it changes.

    So those who look at it during the run always find a sound file. It says that it is incomplete
    until ``end`` says otherwise: also a run that is killed leaves the truth.
    """

    def __init__(self, path: Path, process_list: ProcessList, plugins: Sequence[str]) -> None:
        self.path = path
        self._file = h5py.File("result.nxs", "w", driver="core", backing_store=False)
        self._file.attrs["default"] = "entry"
        image = h5py.File(h5py.h5f.open_file_image(serialize(process_list)))
        with image:
            image.copy("entry", self._file)
        entry = self._file["entry"]
        entry.attrs["NX_class"] = "NXentry"
        self._add_citations(plugins)
        self._add_process()
        _group(entry, "input_data", "NXcollection")
        _group(entry, "intermediate", "NXcollection")
        self._save()

    def add_input(self, dataset: Dataset, scan: Path, data_path: str) -> None:
        """Link to the scan where it is."""
        group = _group(self._file, f"entry/input_data/{dataset.name}", "NXdata")
        _describe(group, dataset)
        group["data"] = h5py.ExternalLink(str(scan.resolve()), "/" + data_path.lstrip("/"))
        group["file_path"] = str(scan.resolve())
        self._save()

    def add_result(self, dataset: Dataset, stored: Stored, *, final: bool) -> None:
        """Link to what a step made, in a file beside this one."""
        name = f"final_result_{dataset.name}" if final else f"intermediate/{stored.group}"
        group = _group(self._file, f"entry/{name}", "NXdata")
        _describe(group, dataset)
        group["data"] = h5py.ExternalLink(stored.path.name, f"{stored.group}/data")
        if final:
            self._file["entry"].attrs["default"] = name
        self._save()

    def end(self, outcome: str, *, complete: bool) -> None:
        """``outcome``: how the run ended, a few words."""
        process = self._file[PROCESS]
        process["complete"][()] = complete
        del process["outcome"]
        process["outcome"] = outcome
        process["end_time"] = _now()
        self._save()

    def _add_process(self) -> None:
        process = _group(self._file, PROCESS, "NXprocess")
        found = versions()
        process["program"] = "savu_builtin"
        process["version"] = found["savu_builtin"]
        process["date"] = _now()
        process["complete"] = False
        process["outcome"] = "not ended"
        note = _group(process, "note", "NXnote")
        note["type"] = "text/plain"
        note["data"] = STATEMENT
        libraries = _group(process, "libraries", "NXcollection")
        for name, number in found.items():
            libraries[name] = number

    def _add_citations(self, plugins: Sequence[str]) -> None:
        parent = _group(self._file, "entry/framework_citations", "NXcollection")
        for citation in citations(plugins):
            # A slash would make a group of it.
            group = _group(parent, citation["citation"].replace("/", "-"), "NXcite")
            for field in CITATION_FIELDS:
                group[field] = np.array([citation[field].encode()])

    def _save(self) -> None:
        self._file.flush()
        write_whole(self.path, bytes(self._file.id.get_file_image()), overwrite=True)


def _group(parent: h5py.Group, name: str, nexus_class: str) -> h5py.Group:
    group = parent.create_group(name)
    group.attrs["NX_class"] = nexus_class
    return group


def _describe(group: h5py.Group, dataset: Dataset) -> None:
    axes = AXES[dataset.kind]
    group.attrs["signal"] = "data"
    group.attrs["axes"] = [name for name, _ in axes]
    for index, (name, unit) in enumerate(axes):
        group.attrs[f"{name}_indices"] = index
        group[name] = dataset.axis_values[name]
        group[name].attrs["units"] = unit
    patterns = _group(group, "patterns", "NXcollection")
    for name, (core, along) in PATTERNS[dataset.kind].items():
        pattern = _group(patterns, name, "NXparameters")
        pattern["core_dims"], pattern["slice_dims"] = core, along
    _add_metadata(_group(group, "meta_data", "NXcollection"), dataset.metadata)


def _add_metadata(parent: h5py.Group, metadata: Mapping[str, Any]) -> None:
    for name, value in metadata.items():
        _group(parent, name, "NXdata")[name] = value


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")
