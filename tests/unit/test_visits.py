"""Visits: found from groups and a template, without listing the visits of others."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from savu_api import visits
from savu_api.settings import Group
from savu_api.visits import find_visits, visit_names


def groups(*names: str) -> list[Group]:
    return [Group(name, 31000 + number) for number, name in enumerate(names)]


def dls(tmp_path: Path, *paths: str) -> str:
    for path in paths:
        (tmp_path / path).mkdir(parents=True)
    return f"{tmp_path}/{{instrument}}/data/{{year}}/{{visit}}"


@pytest.mark.parametrize(
    ("group", "names"),
    [
        ("cm10001_1", ("cm10001-1", "cm10001_1")),
        ("cm10001-1", ("cm10001-1", "cm10001_1")),
        ("dls_staff", ()),
        ("i13_staff", ()),
        ("../cm1_1", ()),
        ("cm1_1/..", ()),
        ("", ()),
    ],
)
def test_only_groups_of_visits_name_visits(group: str, names: tuple[str, ...]) -> None:
    assert visit_names(group) == names


def test_visits_are_found_by_instrument_and_year_newest_first(tmp_path: Path) -> None:
    template = dls(
        tmp_path,
        "i13/data/2025/cm10001-1",
        "i12/data/2026/mg20002-3",
        "i12/data/2026/nt30003-1",
        "i12/data/processing/cm40004-1",
        "_backup/data/2026/cm50005-1",
    )
    os.utime(tmp_path / "i12/data/2026/nt30003-1", (1e9, 1e9))
    found = find_visits(
        groups("ada", "cm10001_1", "nt30003_1", "mg20002_3", "cm40004_1", "cm50005_1"), template
    )
    assert [(visit.name, visit.group.name) for visit in found] == [
        ("mg20002-3", "mg20002_3"),
        ("nt30003-1", "nt30003_1"),
        ("cm10001-1", "cm10001_1"),
    ]
    assert found[0].path == tmp_path / "i12/data/2026/mg20002-3"
    assert all(visit.readable for visit in found)


def test_either_separator_is_found_in_the_folders_name(tmp_path: Path) -> None:
    template = dls(tmp_path, "i13/data/2026/cm10001_1")
    assert [visit.name for visit in find_visits(groups("cm10001-1"), template)] == ["cm10001_1"]


def test_a_template_without_instrument_and_year_works(tmp_path: Path) -> None:
    (tmp_path / "cm10001-1").mkdir()
    (tmp_path / "cm10002-1").write_text("a file")
    found = find_visits(groups("cm10001_1", "cm10002_1"), f"{tmp_path}/{{visit}}")
    assert [visit.path for visit in found] == [tmp_path / "cm10001-1"]


def test_the_folder_of_visits_is_never_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    template = dls(tmp_path, "i13/data/2026/cm10001-1", "i13/data/2026/cm99999-9")
    listed: list[str] = []
    scandir = os.scandir

    def noted(path: Any) -> Any:
        listed.append(str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", noted)
    assert len(find_visits(groups("cm10001_1"), template)) == 1
    assert listed == [str(tmp_path), f"{tmp_path}/i13/data"]


def test_a_search_that_takes_too_long_answers_with_what_it_has(tmp_path: Path) -> None:
    template = dls(tmp_path, "i13/data/2026/cm10001-1")
    assert find_visits(groups("cm10001_1"), template, seconds=-1) == []


def test_without_template_or_visit_groups_nothing_is_looked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(visits, "_expanded", None)
    assert find_visits(groups("cm10001_1"), "") == []
    assert find_visits(groups("dls_staff"), "/dls/{visit}") == []
