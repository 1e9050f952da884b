"""The slice grammar, and what it selects."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from savu_dataserver.hdf5.selection import Selection, parse, select
from savu_dataserver.problems import Problem

GRAMMAR = [
    ("", ()),
    (None, ()),
    ("[]", ()),
    ("3", (3,)),
    ("-1", (-1,)),
    (":", (slice(None),)),
    ("[0,:1024,:1024]", (0, slice(None, 1024), slice(None, 1024))),
    ("0:1,0:100,0:100", (slice(0, 1), slice(0, 100), slice(0, 100))),
    (":,:,0", (slice(None), slice(None), 0)),
    ("::2", (slice(None, None, 2),)),
    ("10:2:-3", (slice(10, 2, -3),)),
    (" [ 1 , 2 : 5 ] ", (1, slice(2, 5))),
]


@pytest.mark.parametrize(("text", "meaning"), GRAMMAR)
def test_a_slice_is_read_as_dawn_and_h5web_write_it(text, meaning):
    assert parse(text) == meaning


@pytest.mark.parametrize(
    "text", ["...", "a", "1:2:3:4", "1,,2", "0x10", "1.5", "::0", "1;2", "[1", "٣", "9" * 30, "1\0"]
)
def test_what_is_no_slice_is_refused_with_a_sentence(text):
    with pytest.raises(Problem) as caught:
        parse(text)
    assert caught.value.status == 400
    assert caught.value.detail.endswith(".")


@pytest.mark.parametrize("text", ["5", "-6", "0,0,0,0"])
def test_what_the_dataset_does_not_have_is_unsuitable(text):
    with pytest.raises(Problem) as caught:
        select(text, (5, 6, 7))
    assert caught.value.status == 422


def test_axes_without_a_part_are_taken_whole():
    assert select("1", (5, 6, 7)).shape == (6, 7)


numbers = st.none() | st.integers(-12, 12)
members = st.integers(-5, 4) | st.builds(slice, numbers, numbers, numbers.filter(lambda n: n != 0))


def _written(member):
    if isinstance(member, int):
        return str(member)
    return ":".join(
        "" if part is None else str(part) for part in (member.start, member.stop, member.step)
    )


@given(st.lists(members, max_size=2))
def test_a_selection_has_the_shape_and_values_that_numpy_gives(chosen):
    array = np.arange(5 * 9).reshape(5, 9)
    selection = select(",".join(map(_written, chosen)), array.shape)
    expected = array[tuple(chosen)]
    assert selection.shape == expected.shape
    assert np.array_equal(_apply(array, selection), expected)


def _apply(array, selection: Selection):
    indices = [
        (axis.start + np.arange(axis.count) * axis.step)[:: -1 if axis.backwards else 1]
        for axis in selection.axes
    ]
    return array[np.ix_(*indices)].reshape(selection.shape)
