"""What plugins an engine has, and which values their parameters take.

A catalogue is JSON: ``{"engine", "version", "plugins": {name: {"id", "info", "synopsis", "warn",
"doc_link", "citations", "parameters": [{"name", "dtype", "default", "visibility", "description",
"options"?, "dependency"?}]}}}``.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from savu_format import dtypes, literals
from savu_format.literals import to_text
from savu_format.process_list import JSON

__all__ = [
    "Catalogue",
    "InvalidCatalogue",
    "Parameter",
    "Plugin",
    "is_tuning",
    "load",
    "parse_free",
    "parse_value",
    "to_text",
    "tuning_count",
]

MAX_TUNING_VALUES: Final = 10_000


class InvalidCatalogue(ValueError):
    """The catalogue is unreadable or not one; the sentence says where."""


@dataclass(frozen=True)
class Parameter:
    """One parameter of a plugin."""

    name: str
    dtype: str
    """In Savu's grammar, see ``dtypes``."""
    default: JSON
    visibility: str = "basic"
    """basic, intermediate, advanced, datasets or hidden."""
    description: Mapping[str, str] | None = None
    """``{"summary", "verbose"?, "range"?}``."""
    options: tuple[tuple[str, str], ...] = ()
    """``(value, text)``; without any, every value of the type is allowed."""
    dependency: Mapping[str, JSON] | None = None
    """Other parameter → the value, or list of values, with which this one matters."""


@dataclass(frozen=True)
class Plugin:
    """One plugin of an engine."""

    name: str
    id: str
    info: str = ""
    synopsis: str = ""
    warn: str = ""
    doc_link: str = ""
    citations: tuple[Mapping[str, str], ...] = ()
    """``{"citation", "description", "doi", "endnote", "bibtex"}``."""
    parameters: tuple[Parameter, ...] = ()

    def parameter(self, name: str) -> Parameter | None:
        """The parameter of this name, or None if the plugin has no such parameter."""
        return next((item for item in self.parameters if item.name == name), None)

    def defaults(self) -> dict[str, JSON]:
        """All parameters with their defaults, in the plugin's order."""
        return {item.name: item.default for item in self.parameters}


@dataclass(frozen=True)
class Catalogue:
    """All plugins of one version of an engine."""

    engine: str
    version: str
    plugins: Mapping[str, Plugin]


def load(source: str | os.PathLike[str] | Mapping[str, Any]) -> Catalogue:
    """The catalogue in this file or mapping. Raises InvalidCatalogue; OSError for the file."""
    if isinstance(source, Mapping):
        return _catalogue(source)
    try:
        mapping = json.loads(Path(source).read_text("utf-8"))
    except ValueError as error:
        raise InvalidCatalogue(f"{source} is not JSON.") from error
    if not isinstance(mapping, dict):
        raise InvalidCatalogue(f"{source} is not a JSON object.")
    return _catalogue(mapping)


def parse_value(given: JSON, parameter: Parameter) -> JSON:
    """The typed value that ``given`` means for this parameter.

    ``given`` is text as people type it (``"[None, None, 1.0]"``) or a value of JSON. Parameter
    tuning (``"60;62;64"``, ``"10:20:2;"``) is checked value by value and stays text. Nothing is
    ever evaluated. Raises ValueError with a sentence.
    """
    try:
        if isinstance(given, str) and is_tuning(given, parameter):
            for value in _tuning_values(given):
                _parse_single(value, parameter)
            return given.strip()
        return _parse_single(given, parameter)
    except ValueError as error:
        raise ValueError(f"{parameter.name} {error}") from None


def parse_free(given: JSON) -> JSON:
    """What ``given`` most likely means where no catalogue tells the type. Raises ValueError."""
    return literals.parse(given) if isinstance(given, str) and ";" not in given else given


def is_tuning(given: JSON, parameter: Parameter) -> bool:
    """Whether this is several values, each to be run with."""
    return isinstance(given, str) and ";" in given and parameter.name != "preview"


def tuning_count(given: JSON, parameter: Parameter) -> int:
    """With how many values a parameter runs; 1 unless it is tuned. Raises ValueError."""
    if isinstance(given, str) and is_tuning(given, parameter):
        return len(_tuning_values(given))
    return 1


def _parse_single(given: JSON, parameter: Parameter) -> JSON:
    kind = dtypes.parse_type(parameter.dtype)
    if not isinstance(given, str):
        value: JSON = given
        _refuse_infinite(value)
    elif given == parameter.default or given.strip() == to_text(parameter.default):
        return parameter.default
    else:
        value = _typed_text(given, kind)
    if parameter.options:
        return _option(value, parameter)
    if value == parameter.default and type(value) is type(parameter.default):
        return value
    if dtypes.admits(kind, value):
        return value
    raise ValueError(f"has to be {dtypes.in_words(kind)}, and {to_text(given)[:100]!r} is not.")


def _typed_text(text: str, kind: dtypes.Type) -> JSON:
    """What this text means where ``kind`` is wanted: ``5`` is text where only text is taken."""
    if not text.strip() and not dtypes.takes_text(kind) and dtypes.admits(kind, None):
        return None
    try:
        value = literals.parse(text)
    except ValueError:
        if dtypes.takes_text(kind):
            return text
        raise
    for meant in (value, _nothing_for_word_none(value)):
        if dtypes.admits(kind, meant):
            # A word is itself, and keeps the spaces that were typed with it.
            return text if meant == text.strip() else meant
    return text if dtypes.takes_text(kind) else value


def _nothing_for_word_none(value: JSON) -> JSON:
    """``"None"`` inside lists as nothing: Savu's own defaults write the word."""
    if isinstance(value, list):
        return [_nothing_for_word_none(item) for item in value]
    return None if value == "None" else value


def _option(value: JSON, parameter: Parameter) -> JSON:
    if value == parameter.default:
        return parameter.default
    texts = [option for option, _ in parameter.options]
    if to_text(value) in texts:
        return value
    choices = ", ".join(texts[:20])
    raise ValueError(f"has to be one of {choices}, and {to_text(value)[:100]!r} is not.")


def _refuse_infinite(value: JSON) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("has to be a finite number.")
    for item in (
        value if isinstance(value, list) else value.values() if isinstance(value, dict) else ()
    ):
        _refuse_infinite(item)


def _tuning_values(text: str) -> list[str]:
    """The values of a tuned parameter, as text."""
    parts = [part.strip() for part in text.split(";") if part.strip()]
    if not parts:
        raise ValueError("has no value between its semicolons.")
    first = parts[0]
    if ":" in first and not _has_brackets(first):
        return [to_text(value) for value in _range(first)]
    if len(parts) > MAX_TUNING_VALUES:
        raise ValueError(f"has more than {MAX_TUNING_VALUES} values.")
    return parts


def _has_brackets(text: str) -> bool:
    return any(bracket in text for bracket in "[]{}")


def _range(text: str) -> list[JSON]:
    """``start:stop[:step]`` as NumPy's arange counts."""
    try:
        numbers = [literals.parse(part) for part in text.split(":")]
    except ValueError:
        numbers = []
    if len(numbers) not in (2, 3) or not all(type(number) in (int, float) for number in numbers):
        raise ValueError("has a range that is not start:stop:step in numbers.")
    start, stop, step = [*numbers, 1][:3]
    count = math.ceil((stop - start) / step) if step else 0  # type: ignore[operator]
    if count < 1:
        raise ValueError("has a range without any value.")
    if count > MAX_TUNING_VALUES:
        raise ValueError(f"has more than {MAX_TUNING_VALUES} values.")
    return [start + index * step for index in range(count)]  # type: ignore[operator]


# -- Reading a catalogue --------------------------------------------------------------------------


def _catalogue(mapping: Mapping[str, Any]) -> Catalogue:
    plugins = mapping.get("plugins")
    if not isinstance(plugins, Mapping):
        raise InvalidCatalogue("The catalogue has no 'plugins'.")
    return Catalogue(
        engine=_text(mapping, "engine", "The catalogue"),
        version=_text(mapping, "version", "The catalogue"),
        plugins={name: _plugin(name, plugins[name]) for name in sorted(plugins)},
    )


def _text(mapping: Mapping[str, Any], key: str, whose: str) -> str:
    value = mapping.get(key)
    if not isinstance(value, str) or not value:
        raise InvalidCatalogue(f"{whose} has no {key!r}.")
    return value


def _plugin(name: str, mapping: Any) -> Plugin:
    if not isinstance(mapping, Mapping):
        raise InvalidCatalogue(f"Plugin {name} is not an object.")
    parameters = mapping.get("parameters", [])
    if not isinstance(parameters, list):
        raise InvalidCatalogue(f"The parameters of {name} are not a list.")
    return Plugin(
        name=name,
        id=_text(mapping, "id", f"Plugin {name}"),
        info=str(mapping.get("info") or ""),
        synopsis=str(mapping.get("synopsis") or ""),
        warn=str(mapping.get("warn") or ""),
        doc_link=str(mapping.get("doc_link") or ""),
        citations=tuple(
            {key: str(text or "") for key, text in citation.items()}
            for citation in mapping.get("citations") or ()
        ),
        parameters=tuple(_parameter(name, item) for item in parameters),
    )


def _parameter(plugin: str, mapping: Any) -> Parameter:
    if not isinstance(mapping, Mapping):
        raise InvalidCatalogue(f"A parameter of {plugin} is not an object.")
    name = _text(mapping, "name", f"A parameter of {plugin}")
    dtype = _text(mapping, "dtype", f"Parameter {name} of {plugin}")
    try:
        kind = dtypes.parse_type(dtype)
    except ValueError as error:
        raise InvalidCatalogue(f"Parameter {name} of {plugin}: {error}") from error
    if "default" not in mapping:
        raise InvalidCatalogue(f"Parameter {name} of {plugin} has no 'default'.")
    default = mapping["default"]
    mended = _nothing_for_word_none(default) if isinstance(default, list) else default
    if dtypes.admits(kind, mended):
        default = mended
    description = mapping.get("description") or {}
    return Parameter(
        name=name,
        dtype=dtype,
        default=default,
        visibility=str(mapping.get("visibility") or "basic"),
        description={"summary": description} if isinstance(description, str) else dict(description),
        options=tuple(
            (str(value), str(text or "")) for value, text in mapping.get("options") or ()
        ),
        dependency=mapping.get("dependency") or None,
    )
