"""Savu's grammar of parameter types, and whether a value is of one.

::

    type    = word | "[" type {"," type} "]"        one of several
                   | "list[" [type {"," type}] "]"  empty; one: any length; else one for each
                   | "dict{" [type ":" type] "}"
    word    = int | float | str | bool | None | list | dict | preview | nptype
            | filepath | yamlfilepath | h5path | dir | filename
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

_TOKEN = re.compile(r"list\[|dict\{|[A-Za-z_0-9]+|[\[\]{},:]")


@dataclass(frozen=True)
class Word:
    """A type with a name."""

    name: str


@dataclass(frozen=True)
class OneOf:
    """Any of several types."""

    types: tuple[Type, ...]


@dataclass(frozen=True)
class ListOf:
    """A list: of one type and any length, or with one type for each item; empty for no type."""

    types: tuple[Type, ...]


@dataclass(frozen=True)
class DictOf:
    """A mapping; empty without types."""

    key: Type | None
    value: Type | None


Type = Word | OneOf | ListOf | DictOf


@functools.cache
def parse_type(text: str) -> Type:
    """Raises ValueError if this is not written in the grammar."""
    compact = re.sub(r"\s", "", text)
    tokens = _TOKEN.findall(compact)
    if "".join(tokens) != compact:
        raise ValueError(f"{text!r} is not a parameter type.")
    parsed, rest = _parse(tokens, text)
    if rest:
        raise ValueError(f"{text!r} is not a parameter type: {''.join(rest)!r} is left over.")
    return parsed


def _parse(tokens: list[str], text: str) -> tuple[Type, list[str]]:
    if not tokens:
        raise ValueError(f"{text!r} is not a parameter type: it ends too early.")
    first, rest = tokens[0], tokens[1:]
    if first in ("[", "list["):
        types: list[Type] = []
        while rest[:1] != ["]"]:
            item, rest = _parse(rest, text)
            types.append(item)
            if rest[:1] == [","]:
                rest = rest[1:]
            elif rest[:1] != ["]"]:
                raise ValueError(f"{text!r} is not a parameter type: a bracket is not closed.")
        return (OneOf if first == "[" else ListOf)(tuple(types)), rest[1:]
    if first == "dict{":
        if rest[:1] == ["}"]:
            return DictOf(None, None), rest[1:]
        key, rest = _parse(rest, text)
        if rest[:1] != [":"]:
            raise ValueError(f"{text!r} is not a parameter type: a dict needs two types.")
        value, rest = _parse(rest[1:], text)
        if rest[:1] != ["}"]:
            raise ValueError(f"{text!r} is not a parameter type: a brace is not closed.")
        return DictOf(key, value), rest[1:]
    if first not in _WORDS:
        raise ValueError(f"{first!r} is not a parameter type.")
    return Word(first), rest


def admits(kind: Type, value: Any) -> bool:
    """Whether a JSON value is of this type."""
    match kind:
        case Word(name):
            return _WORDS[name](value)
        case OneOf(types):
            return any(admits(item, value) for item in types)
        case ListOf(types):
            if not isinstance(value, list):
                return False
            if not types or not value:
                return not types and not value
            kinds = types * len(value) if len(types) == 1 else types
            return len(kinds) == len(value) and all(map(admits, kinds, value))
        case DictOf(key, of):
            if not isinstance(value, dict):
                return False
            if key is None or of is None or not value:
                return key is None and not value
            return all(_admits_key(key, name) and admits(of, item) for name, item in value.items())


def _admits_key(kind: Type, key: str) -> bool:
    """JSON's keys are all text: a number is meant where it reads as one."""
    if admits(kind, key):
        return True
    return re.fullmatch(r"-?[0-9]{1,18}", key) is not None and admits(kind, int(key))


def takes_text(kind: Type) -> bool:
    """Whether any text at all is of this type."""
    if isinstance(kind, OneOf):
        return any(map(takes_text, kind.types))
    return isinstance(kind, Word) and kind.name in _TEXT_WORDS


def in_words(kind: Type) -> str:
    """The type for a sentence: "a whole number or None"."""
    match kind:
        case Word(name):
            return _IN_WORDS[name]
        case OneOf(types):
            return " or ".join(dict.fromkeys(map(in_words, types)))
        case ListOf(()):
            return "the empty list"
        case ListOf((only,)):
            return f"a list in which each item is {in_words(only)}"
        case ListOf(types):
            return f"a list of {len(types)} ({', '.join(map(in_words, types))})"
        case DictOf(None, _):
            return "the empty mapping {}"
        case DictOf(key, of):
            assert key is not None
            assert of is not None
            return f"a mapping {{key: value}} from {in_words(key)} to {in_words(of)}"


# -- Words ----------------------------------------------------------------------------------------


def _is_int(value: Any) -> bool:
    return type(value) is int


def _is_float(value: Any) -> bool:
    return type(value) in (int, float)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_filename(value: Any) -> bool:
    return (
        isinstance(value, str) and value not in ("", ".", "..") and not re.search(r"[/\0]", value)
    )


_NUMPY_TYPE = re.compile(
    r"[<>=|]?([biufc]\d{1,2}|[?bBhHiIlLqQfdgFDG])|bool_?"
    r"|(u?int|float|complex)(8|16|32|64|128|256|_)?|u?(byte|short|intc|longlong)|half|single|double"
)


def _is_numpy_type(value: Any) -> bool:
    return isinstance(value, str) and _NUMPY_TYPE.fullmatch(value) is not None


def _is_preview(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_preview_dimension, value))


def _is_preview_dimension(value: Any) -> bool:
    """A number, ``:``, ``start:stop:step:chunk`` with expressions of start, mid and end."""
    if isinstance(value, list):
        return bool(value) and all(map(_is_position, value))
    if not isinstance(value, str):
        return _is_float(value)
    if value.count(":") > 4:
        return False
    parts = value.split(":")
    if len(parts) == 1:
        return _is_position(value)
    return all(_is_position(part) for part in parts if part.strip())


_POSITION_TEXT = re.compile(r"(start|mid|end|[0-9.+\-*/()\s])+")


def _is_position(value: Any) -> bool:
    if not isinstance(value, str):
        return _is_float(value)
    if len(value) > 200 or _POSITION_TEXT.fullmatch(value) is None:
        return False
    try:
        tree = ast.parse(value.strip(), mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return False
    return all(isinstance(node, _POSITION_NODES) for node in ast.walk(tree))


_POSITION_NODES: Final = (
    ast.Expression,
    ast.BinOp,
    ast.UnaryOp,
    ast.Name,
    ast.Load,
    ast.Constant,
    ast.Add,
    ast.Sub,
    ast.Mult,
    ast.Div,
    ast.FloorDiv,
    ast.USub,
    ast.UAdd,
)

_TEXT_WORDS: Final = frozenset({"str", "filepath", "yamlfilepath", "h5path", "dir"})

_WORDS: Final[dict[str, Callable[[Any], bool]]] = {
    "int": _is_int,
    "float": _is_float,
    "str": _is_text,
    "bool": lambda value: isinstance(value, bool),
    "None": lambda value: value is None,
    "list": lambda value: isinstance(value, list),
    "dict": lambda value: isinstance(value, dict),
    "preview": _is_preview,
    "nptype": _is_numpy_type,
    "filepath": _is_text,
    "yamlfilepath": _is_text,
    "h5path": _is_text,
    "dir": _is_text,
    "filename": _is_filename,
}

_IN_WORDS: Final = {
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "bool": "True or False",
    "None": "None",
    "list": "a list",
    "dict": "a mapping {key: value}",
    "preview": "a list of slices such as [:, 10:20, mid]",
    "nptype": "a NumPy type such as float32",
    "filepath": "the path of a file",
    "yamlfilepath": "the path of a YAML file",
    "h5path": "a path inside an HDF5 file",
    "dir": "the path of a folder",
    "filename": "the name of a file, without a folder",
}
