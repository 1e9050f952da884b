"""Between the steps of a process list and their JSON: pure, with what the engines know.

Reading adds to each step what a catalogue says of its plugin. Writing parses each value by its
type, and leaves as it was whatever the request does not change: a value whose text is the same, the
whole of a plugin that no catalogue knows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from savu_format.catalogue import Catalogue, Parameter, Plugin, parse_free, parse_value, to_text
from savu_format.process_list import (
    CITATION_FIELDS,
    JSON,
    Iteration,
    ProcessList,
    Step,
    position_key,
)

from savu_api.models import (
    Citation,
    EntryModel,
    ListError,
    ParameterModel,
    PluginModel,
    ProcessListInput,
    StepInput,
)


@dataclass(frozen=True)
class Plugins:
    """What all engines have, in the order of their preference."""

    catalogues: tuple[Catalogue, ...]

    def names(self) -> list[str]:
        """All names, sorted."""
        return sorted({name for catalogue in self.catalogues for name in catalogue.plugins})

    def get(self, name: str) -> Plugin | None:
        """The plugin as the first engine that has it describes it."""
        return next((c.plugins[name] for c in self.catalogues if name in c.plugins), None)

    def engines(self, name: str) -> list[str]:
        """The engines that have this plugin."""
        return [c.engine for c in self.catalogues if name in c.plugins]

    def known(self, name: str, module: str) -> Plugin | None:
        """The plugin, unless a list means another module by its name."""
        plugin = self.get(name)
        return plugin if plugin is not None and plugin.id == module else None


# -- Steps → JSON ---------------------------------------------------------------------------------


def entry(step: Step, plugins: Plugins) -> EntryModel:
    """One step as hebi shows it."""
    plugin = plugins.known(step.name, step.id)
    citations: Iterable[Mapping[str, str]] = plugin.citations if plugin else step.citations
    return EntryModel(
        name=step.name,
        pos=step.position,
        info=plugin.info if plugin else "",
        synopsis=plugin.synopsis if plugin else "",
        warn=plugin.warn if plugin else "",
        doc_link=plugin.doc_link if plugin else "",
        id=step.id,
        active=step.active,
        citations=[_citation(citation) for citation in citations],
        parameters=[
            parameter_model(plugin.parameter(name) if plugin else None, name, value)
            for name, value in step.parameters.items()
        ],
        known=plugin is not None,
    )


def plugin_model(plugin: Plugin, plugins: Plugins) -> PluginModel:
    """A plugin with its parameters at their defaults."""
    return PluginModel(
        name=plugin.name,
        id=plugin.id,
        info=plugin.info,
        synopsis=plugin.synopsis,
        warn=plugin.warn,
        doc_link=plugin.doc_link,
        citations=[_citation(citation) for citation in plugin.citations],
        engines=plugins.engines(plugin.name),
        parameters=[parameter_model(item, item.name, item.default) for item in plugin.parameters],
    )


def parameter_model(parameter: Parameter | None, name: str, value: JSON) -> ParameterModel:
    """A parameter and its value as text; without ``parameter``, all that is known is the value."""
    if parameter is None:
        return ParameterModel(
            name=name,
            value=to_text(value),
            type="",
            description={"summary": ""},
            visibility="advanced",
            default="",
        )
    return ParameterModel(
        name=name,
        value=to_text(value),
        type=parameter.dtype,
        description={
            key: str(text) for key, text in (parameter.description or {"summary": ""}).items()
        },
        visibility=parameter.visibility,
        options=list(parameter.options) or None,
        default=to_text(parameter.default),
        dependency=dict(parameter.dependency) if parameter.dependency else None,
    )


def _citation(citation: Mapping[str, str]) -> Citation:
    title = citation.get("citation") or citation.get("description", "")
    return Citation(citation=title, **{key: citation.get(key, "") for key in CITATION_FIELDS})


# -- JSON → steps ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Compiled:
    """The list that a request means, and what is wrong with it."""

    process_list: ProcessList
    errors: tuple[ListError, ...]


def compile_list(
    given: ProcessListInput, plugins: Plugins, before: ProcessList | None = None
) -> Compiled:
    """The list to write for a request; ``before`` is what the file holds so far."""
    errors: list[ListError] = []
    matches = _match(given.plugins, before.steps if before else ())
    steps = tuple(
        _step(str(number), item, plugins, matches.get(number), errors)
        for number, item in enumerate(given.plugins, start=1)
    )
    if given.iterations is not None:
        iterations = tuple(Iteration(i.start, i.end, i.iterations) for i in given.iterations)
    else:
        iterations = _moved(before, matches) if before else ()
    for iteration in iterations:
        if not iteration.start <= iteration.end <= len(steps):
            message = (
                f"The steps {iteration.start} to {iteration.end} cannot be repeated: "
                f"the list has {len(steps)}."
            )
            errors.append(ListError(pos=str(iteration.start), plugin="", message=message))
    return Compiled(ProcessList(steps, iterations=iterations), tuple(errors))


def _match(given: Sequence[StepInput], before: Sequence[Step]) -> dict[int, Step]:
    """Which step of the file each given one was: by its old position, else the next of its name."""
    left = {step.position: step for step in before}
    matches: dict[int, Step] = {}
    for number, item in enumerate(given, start=1):
        old = left.get(item.pos.strip()) if item.pos else None
        if old is not None and old.name == item.name:
            matches[number] = left.pop(old.position)
    for number, item in enumerate(given, start=1):
        if number not in matches:
            same = (step for step in left.values() if step.name == item.name)
            old = next((step for step in same if item.id in (None, step.id)), None)
            if old is not None:
                matches[number] = left.pop(old.position)
    return matches


def _step(
    position: str,
    given: StepInput,
    plugins: Plugins,
    old: Step | None,
    errors: list[ListError],
) -> Step:
    def refuse(message: str, parameter: str | None = None) -> None:
        errors.append(
            ListError(pos=position, plugin=given.name, parameter=parameter, message=message)
        )

    by_name = plugins.get(given.name)
    module = given.id or (old.id if old else None) or (by_name.id if by_name else None)
    if module is None:
        refuse(
            f"No engine has a plugin {given.name}: search for it under another name, "
            "or give the id that a list has for it."
        )
    plugin = plugins.known(given.name, module or "")
    values: dict[str, JSON] = dict(old.parameters) if old else {}
    if plugin is not None:
        for item in plugin.parameters:
            values[item.name] = item.default
    # As it came from a file: parameters that this version of the plugin lacks are kept.
    from_file = bool(given.id) or plugin is None
    for parameter in given.parameters:
        name = parameter.name
        definition = plugin.parameter(name) if plugin else None
        if definition is None and not from_file and not (old and name in old.parameters):
            refuse(f"{given.name} has no parameter {name}.", name)
            continue
        if old is not None and name in old.parameters and _same(parameter.value, old, name):
            values[name] = old.parameters[name]
            if definition is None or _is_valid(old.parameters[name], definition):
                continue
        try:
            values[name] = (
                parse_value(parameter.value, definition)
                if definition is not None
                else parse_free(parameter.value)
            )
        except ValueError as error:
            values[name] = parameter.value
            refuse(f"{error}", name)
    if old is not None:
        step = replace(
            old, position=position, id=module or "", active=given.active, parameters=values
        )
        # Under another module the file's citations would be another's.
        return step if old.id == module else replace(step, citations=_citations(plugin))
    return Step(position, given.name, module or "", given.active, values, _citations(plugin))


def _same(given: JSON, old: Step, name: str) -> bool:
    value = old.parameters[name]
    return given == to_text(value) or (given == value and type(given) is type(value))


def _is_valid(value: JSON, definition: Parameter) -> bool:
    try:
        parse_value(value, definition)
    except ValueError:
        return False
    return True


def _citations(plugin: Plugin | None) -> tuple[Mapping[str, str], ...]:
    return plugin.citations if plugin else ()


def _moved(before: ProcessList, matches: Mapping[int, Step]) -> tuple[Iteration, ...]:
    """The repetitions of the file, moved with their steps; gone where those were parted."""
    ordered = sorted(before.steps, key=lambda step: position_key(step.position))
    number_before = {step.position: number for number, step in enumerate(ordered, start=1)}
    now = {number_before[step.position]: number for number, step in matches.items()}
    moved = []
    for iteration in before.iterations:
        numbers = [now.get(old) for old in range(iteration.start, iteration.end + 1)]
        first = numbers[0] if numbers else None
        if first is not None and numbers == list(range(first, first + len(numbers))):
            moved.append(Iteration(first, first + len(numbers) - 1, iteration.iterations))
    return tuple(moved)
