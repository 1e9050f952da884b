"""What a list will do, step by step, and every reason why it cannot be run.

Looks at the list only: the data are not opened, and nothing heavy is imported.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from savu_format.catalogue import Catalogue, Plugin, is_tuning, load, parse_value
from savu_format.process_list import JSON, ProcessList, Step

from savu_builtin.catalogue import catalogue
from savu_builtin.errors import ListRefused, Problem
from savu_builtin.previews import check_preview

LOADERS: Final = frozenset({"NxtomoLoader"})
SAVERS: Final = frozenset({"TiffSaver", "Hdf5Saver"})
RECONSTRUCTIONS: Final = frozenset({"AstraReconCpu", "ScikitimageFilterBackProjection"})

STACK_PLANES: Final = frozenset({"PROJECTION", "SINOGRAM", "TANGENTOGRAM"})
VOLUME_PLANES: Final = frozenset({"VOLUME_XZ", "VOLUME_XY", "VOLUME_YZ"})
_DATASET_NAME: Final = re.compile(r"[A-Za-z0-9][\w.-]{0,63}")
_FILE_PREFIX: Final = re.compile(r"[\w.+-]{1,100}")


@dataclass(frozen=True)
class PlannedStep:
    """One active step with all that it needs to know."""

    step: Step
    number: int
    """Savu's: the loader is 0, and steps that are switched off do not count."""
    parameters: Mapping[str, JSON]
    """All of the plugin's, checked; what the list does not say has its default."""
    source: str
    """Name of the dataset it takes; empty for a loader."""
    results: tuple[str, ...]
    """Names of the datasets it makes."""

    @property
    def name(self) -> str:
        """Of the plugin."""
        return self.step.name

    @property
    def module(self) -> str:
        """Last part of the plugin's module: in the names of its files."""
        return self.step.id.rpartition(".")[2]


def make_plan(process_list: ProcessList) -> tuple[PlannedStep, ...]:
    """The active steps. Raises ListRefused with every problem that the list shows."""
    known = load(catalogue())
    active = [step for step in process_list.steps if step.active]
    problems = list(_problems_of_list(process_list, active))
    parameters: list[Mapping[str, JSON]] = []
    for step in active:
        values, found = _check_step(step, known)
        parameters.append(values)
        problems += found
    if problems:
        raise ListRefused(problems)
    return _connect(active, parameters)


def _problems_of_list(process_list: ProcessList, active: list[Step]) -> Iterator[Problem]:
    if not active:
        yield Problem("", "", "", "The list has no step that is switched on.")
        return
    first = active[0]
    if first.name not in LOADERS and first.name in catalogue()["plugins"]:
        yield _problem(first, "The first step has to load the data.")
    for step in active[1:]:
        if step.name in LOADERS:
            yield _problem(step, "The built-in engine loads one dataset, in the first step.")
    if len(active) == 1:
        yield _problem(first, "No step follows that does anything.")
    if process_list.iterations:
        yield Problem("", "", "", "The built-in engine does not run steps repeatedly.")


def _problem(step: Step, message: str, parameter: str = "") -> Problem:
    return Problem(step.position, step.name, parameter, message)


def _check_step(step: Step, known: Catalogue) -> tuple[dict[str, JSON], list[Problem]]:
    plugin = known.plugins.get(step.name)
    if plugin is None:
        return {}, [_problem(step, "The built-in engine does not have this plugin.")]
    if step.id != plugin.id:
        return {}, [
            _problem(step, f"The list takes it from {step.id}, and this engine has {plugin.id}.")
        ]
    values: dict[str, JSON] = plugin.defaults()
    problems: list[Problem] = []
    for name, given in step.parameters.items():
        message = _check_parameter(plugin, name, given, values)
        if message:
            problems.append(_problem(step, message, name))
    if not problems:
        problems += [_problem(step, text, name) for name, text in _further(step.name, values)]
    return values, problems


def _check_parameter(plugin: Plugin, name: str, given: JSON, values: dict[str, JSON]) -> str:
    """Put the checked value into ``values``; or the reason why not."""
    parameter = plugin.parameter(name)
    if parameter is None:
        return f"The built-in engine does not know its parameter {name}."
    if is_tuning(given, parameter):
        return f"The built-in engine does not run {name} with several values ({given})."
    try:
        values[name] = _nothing_for_words(parse_value(given, parameter))
    except ValueError as error:
        return str(error)
    return ""


def _nothing_for_words(value: JSON) -> JSON:
    """Savu's defaults hold the word None in lists, and lists made by its own tools keep it."""
    if isinstance(value, list):
        return [None if item == "None" else item for item in value]
    return value


def _further(plugin: str, values: Mapping[str, JSON]) -> Iterator[tuple[str, str]]:
    """What types and options do not say: ``(parameter, sentence)``."""
    for name in ("in_datasets", "out_datasets"):
        names = values.get(name)
        for item in names if isinstance(names, list) else []:
            if _DATASET_NAME.fullmatch(str(item)) is None:
                yield name, f"{item!r} cannot be the name of a dataset."
    preview = values.get("preview")
    if isinstance(preview, list):
        try:
            check_preview(preview)
        except ValueError as error:
            yield "preview", str(error)
    if plugin == "NxtomoLoader":
        yield from _loader(values)
    if plugin in RECONSTRUCTIONS:
        shape = values["vol_shape"]
        if shape not in ("fixed", "auto") and not (
            isinstance(shape, int) and 1 <= shape <= 100_000
        ):
            yield "vol_shape", "vol_shape has to be 'fixed' or a number of pixels."
    if plugin == "TiffSaver":
        prefix = values["prefix"]
        if prefix is not None and _FILE_PREFIX.fullmatch(str(prefix)) is None:
            yield "prefix", "prefix has to be letters, digits and . _ + - only."
        if values["pattern"] not in STACK_PLANES | VOLUME_PLANES:
            yield "pattern", f"pattern {values['pattern']!r} is not one of Savu's planes."


def _loader(values: Mapping[str, JSON]) -> Iterator[tuple[str, str]]:
    if _DATASET_NAME.fullmatch(str(values["name"])) is None:
        yield "name", f"{values['name']!r} cannot be the name of a dataset."
    if isinstance(values["angles"], int):
        yield "angles", "The built-in engine does not take several scans in one file."
    for name in ("dark", "flat"):
        field = values[name]
        given = field[:2] if isinstance(field, list) else []
        if (given[0] is None) != (given[1] is None):
            yield name, f"{name} has to name both a file and a path in it, or neither."


# -- Which dataset goes where ---------------------------------------------------------------------


def _connect(active: list[Step], parameters: list[Mapping[str, JSON]]) -> tuple[PlannedStep, ...]:
    kinds: dict[str, str] = {}
    planned: list[PlannedStep] = []
    problems: list[Problem] = []
    for number, (step, values) in enumerate(zip(active, parameters, strict=True)):
        source = "" if step.name in LOADERS else _source(values, kinds)
        kind = kinds.get(source, "")
        results = _results(step.name, values, source)
        trouble = "" if step.name in LOADERS else _unfit(step.name, values, source, kind, kinds)
        if trouble:
            problems.append(_problem(step, trouble, "in_datasets"))
        for name in results:
            kinds[name] = _kind_made(step.name)
        planned.append(PlannedStep(step, number, values, source, results))
    if problems:
        raise ListRefused(problems)
    return tuple(planned)


def _source(values: Mapping[str, JSON], kinds: Mapping[str, str]) -> str:
    names = values["in_datasets"]
    if isinstance(names, list) and names:
        return str(names[0])
    return next(name for name, kind in kinds.items() if kind != "centres")


def _results(plugin: str, values: Mapping[str, JSON], source: str) -> tuple[str, ...]:
    if plugin in LOADERS:
        return (str(values["name"]),)
    if plugin in SAVERS:
        return ()
    names = values["out_datasets"]
    if isinstance(names, list) and names:
        return tuple(str(name) for name in names)
    return (source,)


def _kind_made(plugin: str) -> str:
    if plugin in LOADERS:
        return "scan"
    if plugin == "VoCentering":
        return "centres"
    return "volume" if plugin in RECONSTRUCTIONS else "projections"


def _unfit(
    plugin: str,
    values: Mapping[str, JSON],
    source: str,
    kind: str,
    kinds: Mapping[str, str],
) -> str:
    """Why this dataset cannot be given to this plugin, or nothing."""
    if not kind:
        return f"There is no dataset {source!r} at this step; there are {', '.join(kinds)}."
    number = len(values["in_datasets"]) if isinstance(values["in_datasets"], list) else 0
    if number > 1:
        return "It takes one dataset, and is given several."
    made = values["out_datasets"]
    wanted = 0 if plugin in SAVERS else 2 if plugin == "VoCentering" else 1
    if isinstance(made, list) and wanted and len(made) not in (0, wanted):
        return f"It makes {wanted} dataset{'s' * (wanted > 1)}, and {len(made)} are named."
    if isinstance(made, list) and len(set(map(str, made))) != len(made):
        return "Two of its results have the same name."
    if plugin == "VoCentering":
        taken = [name for name in made if name in kinds] if isinstance(made, list) else []
        if taken and any(kinds[str(name)] != "centres" for name in taken):
            return f"Its result would take the place of the dataset {taken[0]!r}."
        if not made:
            return "Its two results need names: cor_preview and cor_broadcast."
    if kind == "centres":
        return f"{source!r} holds centres of rotation, not images."
    if plugin == "DarkFlatFieldCorrection" and kind != "scan":
        return f"{source!r} is no scan with dark and flat fields any more."
    if plugin == "TiffSaver":
        planes = VOLUME_PLANES if kind == "volume" else STACK_PLANES
        if values["pattern"] not in planes:
            return (
                f"{source!r} has no planes {values['pattern']}; it has {', '.join(sorted(planes))}."
            )
    elif plugin not in SAVERS and kind == "volume":
        return f"{source!r} is reconstructed already."
    centre = values.get("centre_of_rotation")
    if isinstance(centre, str) and kinds.get(centre) != "centres":
        return f"There is no dataset {centre!r} of centres of rotation at this step."
    return ""
