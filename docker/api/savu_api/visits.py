"""A user's visits: from the names of groups and the site's path template, never by listing them.

With the template ``/dls/{instrument}/data/{year}/{visit}`` the group ``cm10001_1`` leads to
``/dls/i13/data/2026/cm10001-1``: the folders of instruments and years are listed, the folder of
thousands of visits is not, only asked for the names that the user's groups allow.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from savu_api.settings import Group

SECONDS: Final = 5.0
"""A search ends after so long, with what was found until then."""

_VISIT_GROUP = re.compile(r"([a-zA-Z]+[0-9]+)[-_]([0-9]+)")
_LEVELS: Final = {
    "{instrument}": re.compile(r"[a-zA-Z][a-zA-Z0-9_.-]*"),
    "{year}": re.compile(r"(19|20)[0-9]{2}"),
}


@dataclass(frozen=True)
class Visit:
    """A visit's folder."""

    name: str
    path: Path
    readable: bool
    group: Group


def visit_names(group: str) -> tuple[str, ...]:
    """What the folder of this group's visit may be called; nothing for other groups.

    >>> visit_names("cm10001_1")
    ('cm10001-1', 'cm10001_1')
    >>> visit_names("dls_staff")
    ()
    """
    match = _VISIT_GROUP.fullmatch(group)
    return (f"{match[1]}-{match[2]}", f"{match[1]}_{match[2]}") if match else ()


def find_visits(groups: Sequence[Group], template: str, seconds: float = SECONDS) -> list[Visit]:
    """The visits that exist, newest first: by the year in their path, then by when they changed.

    Blocks on the file system, for about ``seconds`` at most.
    """
    wanted = {group: visit_names(group.name) for group in groups if visit_names(group.name)}
    if not template or not wanted:
        return []
    deadline = time.monotonic() + seconds
    found: list[tuple[int, float, Visit]] = []
    parts = Path(template).parts
    for pattern in _expanded(Path(parts[0]), parts[1:], deadline):
        if not wanted or time.monotonic() > deadline:
            break
        for group, names in list(wanted.items()):
            for name in names:
                path = Path(str(pattern).replace("{visit}", name))
                try:
                    status = path.stat()
                except (OSError, ValueError):
                    continue
                if path.is_dir():
                    readable = os.access(path, os.R_OK | os.X_OK)
                    visit = Visit(name, path, readable, group)
                    found.append((_year(template, path), status.st_mtime, visit))
                    del wanted[group]
                    break
    return [visit for *_, visit in sorted(found, key=lambda item: item[:2], reverse=True)]


def _expanded(done: Path, rest: Sequence[str], deadline: float) -> Iterator[Path]:
    """The template with instruments and years filled in, recent years first; ``{visit}`` stays."""
    for index, part in enumerate(rest):
        if "{visit}" in part:
            # Below the visit nothing is looked up, and beside it only what was already found.
            if any(field in str(Path(*rest[index:])) for field in _LEVELS):
                return
            yield done.joinpath(*rest[index:])
            return
        if any(field in part for field in _LEVELS):
            for name in _matching(done, part):
                if time.monotonic() > deadline:
                    return
                yield from _expanded(done / name, rest[index + 1 :], deadline)
            return
        done /= part


def _matching(folder: Path, part: str) -> list[str]:
    pattern = re.escape(part)
    for field, values in _LEVELS.items():
        pattern = pattern.replace(re.escape(field), f"(?:{values.pattern})")
    try:
        with os.scandir(folder) as listing:
            names = [entry.name for entry in listing if re.fullmatch(pattern, entry.name)]
    except OSError:
        return []
    return sorted(names, reverse="{year}" in part)


def _year(template: str, path: Path) -> int:
    """The year in a visit's path, 0 if the template has none."""
    for part, name in zip(Path(template).parts, path.parts, strict=False):
        if "{year}" in part and (match := re.search(_LEVELS["{year}"], name)):
            return int(match[0])
    return 0
