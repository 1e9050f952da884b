"""Savu's preview grammar."""

from __future__ import annotations

from typing import Any

import pytest
from savu_builtin.previews import check_preview, length, parse_preview


@pytest.mark.parametrize(
    ("entry", "taken"),
    [
        (":", range(0, 10)),
        ("3", range(3, 4)),
        (3, range(3, 4)),
        ("2:5", range(2, 5)),
        ("2:end", range(2, 10)),
        ("start:mid", range(0, 4)),
        ("mid-1:mid+2", range(3, 6)),
        ("end-2:end", range(8, 10)),
        ("0:-1", range(0, 10)),
        ("0:-2", range(0, 9)),
        ("1:9:3", range(1, 9, 3)),
        ("::2", range(0, 10, 2)),
        ("2:5:1:1", range(2, 5)),
    ],
)
def test_entries_mean_what_they_mean_in_savu(entry: Any, taken: range) -> None:
    (part,) = parse_preview([entry], [10])
    assert range(part.start, part.stop, part.step) == taken
    assert length(part) == len(taken)


def test_the_middle_of_an_odd_axis_is_its_middle() -> None:
    assert parse_preview(["mid"], [9])[0].start == 4


def test_an_empty_preview_takes_everything() -> None:
    assert parse_preview([], [4, 5]) == (slice(0, 4, 1), slice(0, 5, 1))


@pytest.mark.parametrize("entry", ["5:5", "7:3", "0:11", "10", "0:5:0", "0:9:3:2", "-20:5"])
def test_what_no_data_have_is_refused(entry: str) -> None:
    with pytest.raises(ValueError, match="preview"):
        parse_preview([entry], [10])


def test_a_preview_of_other_data_is_refused() -> None:
    with pytest.raises(ValueError, match="2 entries, and the data 3 axes"):
        parse_preview([":", ":"], [4, 5, 6])


@pytest.mark.parametrize(
    "entry", ["__import__('os').system('id')", "mid.real", "1e3:2", "a:b", "mid*2", "1 2"]
)
def test_expressions_are_never_evaluated(entry: str) -> None:
    with pytest.raises(ValueError, match="not a preview"):
        check_preview([entry])
