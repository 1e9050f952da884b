"""A preview takes a few middle rows of what the list already selects, in Savu's grammar."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from savu_api.jobs.job import Rows
from savu_api.jobs.preview import ROWS, NoPreview, preview_entries


@pytest.mark.parametrize("current", [[], None, {}, "", "[]", [":", ":", ":"]])
def test_without_a_crop_the_middle_rows_of_the_detector_are_taken(current: object):
    entries, rows = preview_entries(current, (180, 128, 256))
    assert entries == [":", "62:66:1", ":"]
    assert rows == Rows(62, 66, 128)


def test_the_lists_own_crop_stays_and_the_rows_are_from_its_middle():
    entries, rows = preview_entries(["0:end:2", "100:200", "20:end-20"], (1800, 2160, 2560))
    assert entries == ["0:end:2", "148:152:1", "20:end-20"]
    assert rows == Rows(148, 152, 2160)


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("mid", Rows(63, 64, 128)),
        ("5", Rows(5, 6, 128)),
        ("mid-1:mid+1", Rows(62, 64, 128)),
        ("end/2:end:1:1", Rows(94, 98, 128)),
        ("0:-1", Rows(62, 66, 128)),
        ("start:end", Rows(62, 66, 128)),
        ("nprocs", Rows(62, 66, 128)),
    ],
)
def test_savus_words_are_understood(entry: str, expected: Rows):
    assert preview_entries([":", entry, ":"], (180, 128, 256))[1] == expected


def test_a_scan_of_fewer_rows_is_taken_whole():
    entries, rows = preview_entries([], (180, 2, 256))
    assert entries[1] == "0:2:1"
    assert rows == Rows(0, 2, 2)


def test_data_of_four_dimensions_gets_an_entry_for_each():
    assert preview_entries([], (180, 128, 256, 3))[0] == [":", "62:66:1", ":", ":"]


def test_where_the_shape_is_not_known_the_middle_is_left_to_savu():
    assert preview_entries([], None) == ([":", "mid-2:mid+2:1", ":"], None)


@pytest.mark.parametrize(
    "entry", ["__import__('os').system('true')", "9**9**9", "mid(", "x", "()" * 500, "1:2j", "a.b"]
)
def test_an_entry_outside_the_grammar_is_refused_and_never_evaluated(entry: str):
    with pytest.raises(NoPreview, match="own preview"):
        preview_entries([":", entry, ":"], (180, 128, 256))


def test_a_crop_beyond_the_scan_is_refused_with_both_numbers():
    with pytest.raises(NoPreview, match=r"200:300, and this scan has 128"):
        preview_entries([":", "200:300", ":"], (180, 128, 256))


def test_a_preview_by_dataset_and_flat_data_are_refused():
    with pytest.raises(NoPreview):
        preview_entries({"tomo": [":", ":", ":"]}, (180, 128, 256))
    with pytest.raises(NoPreview, match="2 dimensions"):
        preview_entries([], (180, 128))


@given(st.integers(1, 5000), st.integers(0, 4999), st.integers(1, 5000))
def test_the_rows_are_always_some_within_the_crop(total: int, start: int, stop: int):
    if not start < stop <= total:
        with pytest.raises(NoPreview):
            preview_entries([":", f"{start}:{stop}", ":"], (180, total, 256))
        return
    rows = preview_entries([":", f"{start}:{stop}", ":"], (180, total, 256))[1]
    assert rows is not None
    assert start <= rows.start < rows.stop <= stop
    assert rows.stop - rows.start == min(ROWS, stop - start)
