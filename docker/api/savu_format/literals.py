"""Values as people type them and hebi's API carries them: ``[None, None, 1.0]``, ``{tomo: [:]}``.

Savu evaluates such text as Python; here it is parsed. Words need no quotes, and brackets nest.
"""

from __future__ import annotations

import ast
import math
import re
from typing import Final

from savu_format.process_list import JSON

MAX_LENGTH: Final = 100_000
MAX_DEPTH: Final = 20

_NUMBER = re.compile(r"[+-]?(\d[\d_]*\.?[\d_]*|\.\d[\d_]*)([eE][+-]?\d+)?|[+-]?0[xX][0-9a-fA-F]+")
_WORDS: Final[dict[str, JSON]] = {
    "None": None,
    "null": None,
    "True": True,
    "true": True,
    "False": False,
    "false": False,
}
_BRACKETS: Final = {"[": "]", "(": ")", "{": "}"}
_UNQUOTED = re.compile(r"[^\s,\[\](){}'\"\\;](?:[^,\[\](){}'\"\\;\n]*[^\s,\[\](){}'\"\\;])?")


def parse(text: str) -> JSON:
    """The value that this text writes down; a bare word is itself. Raises ValueError.

    Tuples become lists, as they do in a process list.
    """
    if len(text) > MAX_LENGTH:
        raise ValueError(f"is longer than {MAX_LENGTH} characters.")
    text = text.strip()
    if text[:1] not in _BRACKETS:
        return _scalar(text)
    reader = _Reader(text)
    value = reader.value(closing="")
    if reader.rest():
        raise ValueError(f"has something after its closing bracket: {reader.rest()[:40]!r}.")
    return value


def to_text(value: JSON) -> str:
    """hebi's text of a value: Python's, with quotes only where reading it back needs them."""
    return value if isinstance(value, str) else _nested_text(value)


def _nested_text(value: JSON) -> str:
    if isinstance(value, list):
        return f"[{', '.join(_nested_text(item) for item in value)}]"
    if isinstance(value, dict):
        items = (f"{_key_text(key)}: {_nested_text(item)}" for key, item in value.items())
        return f"{{{', '.join(items)}}}"
    if isinstance(value, str):
        # Savu's own defaults hold the word 'None' where they mean nothing.
        bare = value == "None" or (
            _UNQUOTED.fullmatch(value) and value not in _WORDS and not _NUMBER.fullmatch(value)
        )
        return value if bare else repr(value)
    return str(value)


def _key_text(key: str) -> str:
    return key if _UNQUOTED.fullmatch(key) and ":" not in key else repr(key)


def _scalar(text: str) -> JSON:
    """A number, a word that means something, a quoted text, or the text itself."""
    if text in _WORDS:
        return _WORDS[text]
    if _NUMBER.fullmatch(text):
        return _number(text)
    if len(text) > 1 and text[0] in "'\"" and text[-1] == text[0]:
        try:
            value = ast.literal_eval(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return text
        if isinstance(value, str):
            return value
    return text


def _number(text: str) -> JSON:
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        # Leading zeros, ``1__0`` or thousands of digits.
        return text
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{text!r} is too large a number.")
    if isinstance(value, int) and abs(value) >= 2**63:
        raise ValueError(f"{text[:40]!r} is too large a number.")
    return value if isinstance(value, int | float) else text


class _Reader:
    """One pass over text with brackets."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def rest(self) -> str:
        return self._text[self._at :].strip()

    def value(self, closing: str, depth: int = 0) -> JSON:
        """The value that starts here; stops before a comma or before ``closing``."""
        if depth > MAX_DEPTH:
            raise ValueError(f"has brackets nested more than {MAX_DEPTH} deep.")
        self._skip_space()
        opening = self._peek()
        if opening in ("[", "("):
            self._at += 1
            return self._items(_BRACKETS[opening], depth)
        if opening == "{":
            self._at += 1
            return self._pairs(depth)
        return _scalar(self._token(f",{closing}"))

    def _items(self, closing: str, depth: int) -> list[JSON]:
        items: list[JSON] = []
        while not self._ends(closing):
            items.append(self.value(closing, depth + 1))
            self._separator(closing)
        return items

    def _pairs(self, depth: int) -> dict[str, JSON]:
        pairs: dict[str, JSON] = {}
        while not self._ends("}"):
            key = _scalar(self._token(":,}"))
            if self._peek() != ":":
                raise ValueError("has an entry between { and } that is not 'key: value'.")
            self._at += 1
            # As JSON writes it, the only form that a process list can hold.
            pairs[key if isinstance(key, str) else str(key)] = self.value("}", depth + 1)
            self._separator("}")
        return pairs

    def _ends(self, closing: str) -> bool:
        self._skip_space()
        if self._peek() == closing:
            self._at += 1
            return True
        return False

    def _separator(self, closing: str) -> None:
        self._skip_space()
        following = self._peek()
        if following == ",":
            self._at += 1
        elif following != closing:
            missing = (
                "has a bracket that is never closed."
                if not following
                else (f"has {following!r} where a comma or {closing!r} belongs.")
            )
            raise ValueError(missing)

    def _token(self, stops: str) -> str:
        """Text up to one of ``stops`` outside quotes; the stop stays unread."""
        self._skip_space()
        start, quote = self._at, ""
        while self._at < len(self._text):
            character = self._text[self._at]
            if quote:
                if character == "\\":
                    self._at += 1
                elif character == quote:
                    quote = ""
            elif character in "'\"" and self._at == start:
                quote = character
            elif character in stops or character in "[]{}":
                break
            self._at += 1
        if quote:
            raise ValueError("has a quotation mark that is never closed.")
        token = self._text[start : self._at].strip()
        if not token:
            raise ValueError("has nothing between two commas or brackets.")
        return token

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _skip_space(self) -> None:
        while self._peek().isspace():
            self._at += 1
