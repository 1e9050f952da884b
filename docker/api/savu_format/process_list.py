"""Savu's process lists: which plugins run on a scan, in which order, with which parameters.

The file is HDF5 (``.nxs``)::

    /entry/plugin/1        NXnote, one group for each step, numbered from 1, perhaps with a letter
        name    (1,)  class of the plugin
        id      (1,)  dotted module that Savu imports, or the path of a .py
        data    (1,)  JSON object of all parameters
        active  (1,)  bool
        citation1/…   NXcite: bibtex, description, doi, endnote; optional
    /entry/savu_notes/version                    of the Savu that wrote it; optional
    /entry/iterate_plugin_groups/0/{start,end,iterations}    steps that run several times; optional

Files are read whole into memory first: the bytes that were checked are the bytes that are parsed,
a file system that hangs does not hold HDF5's global lock, and no link leads to another file.
"""

from __future__ import annotations

import io
import json
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from savu_format.whole_file import write_whole

if TYPE_CHECKING:
    import h5py

JSON: TypeAlias = "bool | int | float | str | list[JSON] | dict[str, JSON] | None"

MAX_FILE_BYTES: Final = 32 * 1024 * 1024
"""A list of fifty plugins has some 300 kB; Savu's results hold a list too, and data by links."""

MAX_STEPS: Final = 1000
MAX_TEXT_BYTES: Final = 4 * 1024 * 1024

CITATION_FIELDS: Final = ("description", "doi", "endnote", "bibtex")
_POSITION = re.compile(r"\s*([0-9]{1,6})([a-z]?)\s*")


class NotAProcessList(ValueError):
    """The file is readable, and is not (or no longer) a process list; the sentence says why."""


@dataclass(frozen=True)
class Step:
    """One plugin of a list and what it is to run with."""

    position: str
    """As Savu shows it: ``"2"``, ``"2a"``."""
    name: str
    id: str
    active: bool
    parameters: Mapping[str, JSON]
    """All parameters, typed, in the plugin's order."""
    citations: tuple[Mapping[str, str], ...] = ()
    """Of ``CITATION_FIELDS``, as they stand in the file."""
    text: str = field(default="", compare=False, repr=False)
    """The parameters' JSON as it was read; written again as it is while it means the same."""


@dataclass(frozen=True)
class Iteration:
    """Steps that run several times; ``start`` and ``end`` count from 1 and are both included."""

    start: int
    end: int
    iterations: int


@dataclass(frozen=True)
class ProcessList:
    """A whole list, in running order."""

    steps: tuple[Step, ...]
    version: str = "4.2"
    """Savu's own, whose names and parameters these are."""
    iterations: tuple[Iteration, ...] = ()


def read(path: str | os.PathLike[str]) -> ProcessList:
    """The list in this file. Raises NotAProcessList, or OSError if it cannot be read at all."""
    with Path(path).open("rb") as file:
        return load(file)


def load(file: io.BufferedIOBase | io.RawIOBase) -> ProcessList:
    """The list in this open binary file. Raises as ``read`` does."""
    return parse(read_bounded(file))


def read_bounded(file: io.BufferedIOBase | io.RawIOBase) -> bytes:
    """All bytes of a file that is no longer than a list can be; NotAProcessList if it is."""
    content = file.read(MAX_FILE_BYTES + 1) or b""
    if len(content) > MAX_FILE_BYTES:
        raise NotAProcessList(
            f"The file is larger than {MAX_FILE_BYTES // 2**20} MiB, which no process list is."
        )
    return content


def write(path: str | os.PathLike[str], process_list: ProcessList, *, overwrite: bool) -> None:
    """Write the list to ``path``, whole or not at all; see ``write_whole`` for mode and errors."""
    write_whole(path, serialize(process_list), overwrite=overwrite)


def holds_process_list(content: bytes) -> bool:
    """Whether these bytes are an HDF5 file with ``/entry/plugin`` that is not a run's result.

    Savu writes the list that it ran into each result as well; a result is data first.
    """
    try:
        with _open_image(content) as file:
            entry = _group(file, "entry")
            if entry is None or _group(entry, "plugin") is None:
                return False
            return not any(
                name in ("intermediate", "input_data") or name.startswith("final_result")
                for name in entry
            )
    except NotAProcessList:
        return False
    except (KeyError, RuntimeError, TypeError, ValueError, OSError):
        return False


def parse(content: bytes) -> ProcessList:
    """The list in the bytes of an HDF5 file. Raises NotAProcessList."""
    with _open_image(content) as file:
        try:
            return _parse_file(file)
        except NotAProcessList:
            raise
        except (OSError, KeyError, RuntimeError, ValueError, TypeError) as error:
            raise NotAProcessList("The file is damaged: part of it cannot be read.") from error


def serialize(process_list: ProcessList) -> bytes:
    """The bytes of the HDF5 file as Savu 4.2 writes it. Raises ValueError for absurd positions."""
    import h5py

    positions = [step.position for step in process_list.steps]
    if len(set(positions)) != len(positions):
        raise ValueError("Two steps of a process list cannot have the same position.")
    # HDF5 takes two open files of one name for the same, in memory too.
    name = f"{secrets.token_hex(16)}.nxs"
    with h5py.File(name, "w", driver="core", backing_store=False) as file:
        entry = file.create_group("entry")
        notes = _create_group(entry, "savu_notes", "NXnote")
        notes["version"] = process_list.version
        plugins = _create_group(entry, "plugin", "NXprocess")
        for step in process_list.steps:
            _write_step(plugins, step)
        iterations = _create_group(entry, "iterate_plugin_groups", "NXnote")
        for index, iteration in enumerate(process_list.iterations):
            group = iterations.create_group(str(index))
            group.create_dataset("start", data=iteration.start, dtype="int32")
            group.create_dataset("end", data=iteration.end, dtype="int32")
            group.create_dataset("iterations", data=iteration.iterations, dtype="int32")
        file.flush()
        return bytes(file.id.get_file_image())


# -- Reading --------------------------------------------------------------------------------------


def _open_image(content: bytes) -> h5py.File:
    import h5py

    try:
        return h5py.File(h5py.h5f.open_file_image(content))
    except (OSError, RuntimeError, ValueError) as error:
        what = "empty" if not content else "not an HDF5 file, or a damaged or unfinished one"
        raise NotAProcessList(f"The file is {what}.") from error


def _group(parent: h5py.Group, name: str) -> h5py.Group | None:
    """The group of this name, if it is in the file itself: links are not followed."""
    import h5py

    if not isinstance(parent.get(name, getlink=True), h5py.HardLink):
        return None
    found = parent[name]
    return found if isinstance(found, h5py.Group) else None


def _parse_file(file: h5py.File) -> ProcessList:
    entry = _group(file, "entry")
    plugins = _group(entry, "plugin") if entry is not None else None
    if entry is None or plugins is None:
        raise NotAProcessList("The file holds no process list: /entry/plugin is missing.")
    if len(plugins) > MAX_STEPS:
        raise NotAProcessList(f"The list has more than {MAX_STEPS} steps.")
    steps = sorted(_steps(plugins), key=lambda step: position_key(step.position))
    return ProcessList(tuple(steps), _version(entry), tuple(_iterations(entry)))


def position_key(position: str) -> tuple[int, str]:
    """What positions sort by: ``"2" < "2a" < "10"``. Raises ValueError for anything else."""
    match = _POSITION.fullmatch(position)
    if match is None:
        raise ValueError(f"{position!r} is not a position in a process list.")
    return int(match[1]), match[2]


def _steps(plugins: h5py.Group) -> Iterator[Step]:
    for key in plugins:
        position = key.strip()
        if _POSITION.fullmatch(key) is None:
            raise NotAProcessList(f"/entry/plugin/{key[:40]} is not a step: steps are numbered.")
        group = _group(plugins, key)
        if group is None:
            raise NotAProcessList(f"Step {position} is not a group.")
        text = _text(group, "data", position)
        try:
            parameters = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise NotAProcessList(f"The parameters of step {position} are not JSON.") from error
        if not isinstance(parameters, dict):
            raise NotAProcessList(f"The parameters of step {position} are not a JSON object.")
        yield Step(
            position=position,
            name=_text(group, "name", position),
            id=_text(group, "id", position),
            active=_active(group),
            parameters=parameters,
            citations=tuple(_citations(group)),
            text=text,
        )


def _first(group: h5py.Group, name: str) -> Any:
    """First element of a small dataset that is stored in the file itself, or None if absent."""
    import h5py

    link = group.get(name, getlink=True)
    if link is None:
        return None
    dataset = group[name] if isinstance(link, h5py.HardLink) else None
    if (
        not isinstance(dataset, h5py.Dataset)
        or dataset.external
        or dataset.is_virtual
        or dataset.ndim > 1
        or dataset.size == 0
        or max(dataset.size, *(dataset.chunks or (1,))) * dataset.dtype.itemsize > MAX_TEXT_BYTES
    ):
        raise NotAProcessList(f"{group.name}/{name} is not stored as a process list's is.")
    return dataset[()] if dataset.ndim == 0 else dataset[0]


def _as_text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _text(group: h5py.Group, name: str, position: str) -> str:
    value = _first(group, name)
    if value is None:
        raise NotAProcessList(f"Step {position} has no {name!r}.")
    return _as_text(value)


def _active(group: h5py.Group) -> bool:
    value = _first(group, "active")
    return True if value is None else bool(value)


def _citations(group: h5py.Group) -> Iterator[Mapping[str, str]]:
    for key in sorted((key for key in group if key.startswith("citation")), key=_natural):
        citation = _group(group, key)
        if citation is not None:
            values = {name: _first(citation, name) for name in CITATION_FIELDS}
            yield {name: "" if value is None else _as_text(value) for name, value in values.items()}


def _natural(key: str) -> tuple[int, str]:
    return len(key), key


def _version(entry: h5py.Group) -> str:
    notes = _group(entry, "savu_notes")
    value = _first(notes, "version") if notes is not None else None
    return "0" if value is None else _as_text(value)


def _iterations(entry: h5py.Group) -> Iterator[Iteration]:
    groups = _group(entry, "iterate_plugin_groups")
    for key in sorted(groups, key=_natural) if groups is not None else ():
        group = _group(groups, key)
        if group is not None:
            start, end, count = (_first(group, name) for name in ("start", "end", "iterations"))
            yield Iteration(int(start), int(end), int(count))


# -- Writing --------------------------------------------------------------------------------------


def _create_group(parent: h5py.Group, name: str, nexus_class: str) -> h5py.Group:
    group = parent.create_group(name)
    group.attrs["NX_class"] = nexus_class.encode("ascii")
    return group


def _write_step(plugins: h5py.Group, step: Step) -> None:
    import numpy as np

    number, letter = position_key(step.position)
    group = _create_group(plugins, f"{number}{letter}", "NXnote")
    for index, citation in enumerate(step.citations, start=1):
        cite = _create_group(group, f"citation{index}", "NXcite")
        for name in CITATION_FIELDS:
            cite[name] = _bytes_array(citation.get(name, ""))
    group["name"] = _bytes_array(step.name)
    group["id"] = _bytes_array(step.id)
    group["data"] = _bytes_array(_parameters_text(step))
    group["active"] = np.array([step.active], dtype=bool)


def _bytes_array(text: str) -> Any:
    import numpy as np

    content = text.encode("utf-8")
    # HDF5 has no strings of no length; a trailing NUL is padding and is not read back.
    return np.array([content], dtype=f"S{max(len(content), 1)}")


def _parameters_text(step: Step) -> str:
    parameters = dict(step.parameters)
    if step.text:
        try:
            if _same(json.loads(step.text), parameters):
                return step.text
        except ValueError:
            pass
    return json.dumps(parameters)


def _same(one: Any, other: Any) -> bool:
    """Equal in value, type and order: for Python, True == 1 == 1.0."""
    return json.dumps(one) == json.dumps(other)
