"""Reading in pieces gives the same values as reading at once."""

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from savu_dataserver import limits
from savu_dataserver.hdf5 import reading
from savu_dataserver.hdf5.selection import select
from savu_dataserver.problems import Problem

SHAPE = (7, 11, 13)
VALUES = np.arange(np.prod(SHAPE), dtype=">i4").reshape(SHAPE)


@pytest.fixture(scope="module", params=[None, (1, 11, 13), (2, 3, 4), (7, 11, 13)], ids=str)
def dataset(request, tmp_path_factory):
    with h5py.File(tmp_path_factory.mktemp("data") / "a.h5", "w") as file:
        yield file.create_dataset("values", data=VALUES, chunks=request.param)


parts = st.sampled_from([":", "::2", "1:6:3", "-1", "3", "6:1:-2", "::-1", "2:2", "1:5"])


@given(st.lists(parts, min_size=3, max_size=3), st.sampled_from([16, 200, 4000]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_pieces_of_any_size_add_up_to_what_numpy_selects(dataset, chosen, piece_bytes):
    text = ",".join(chosen)
    expected = eval(f"VALUES[{text}]")
    ticks = []
    before = limits.PIECE_BYTES
    try:
        limits.PIECE_BYTES = piece_bytes
        read = reading.read(dataset, select(text, SHAPE), 10**6, lambda: ticks.append(1))
    finally:
        limits.PIECE_BYTES = before
    assert read.dtype == VALUES.dtype
    assert np.array_equal(read, expected)
    assert len(ticks) >= (expected.size > 0)


def test_a_sinogram_of_one_frame_a_chunk_shows_progress_frame_by_frame(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "PIECE_BYTES", 100)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        data = file.create_dataset("data", data=VALUES, chunks=(1, 11, 13))
        pieces = list(reading.pieces(data, select(":,5,:", SHAPE)))
    assert len(pieces) == SHAPE[0]


def test_decoded_bytes_count_whole_chunks(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        data = file.create_dataset("data", data=VALUES, chunks=(1, 11, 13))
        assert reading.decoded_bytes(data, select(":,5,0", SHAPE)) == VALUES.nbytes
        assert reading.decoded_bytes(data, select("2", SHAPE)) == VALUES[2].nbytes


def test_one_chunk_above_the_bound_is_refused_even_for_one_value(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        data = file.create_dataset("data", data=VALUES, chunks=SHAPE)
        with pytest.raises(Problem) as caught:
            reading.read(data, select("0,0,0", SHAPE), VALUES.nbytes - 1, lambda: None)
    assert caught.value.status == 413


def test_contents_of_variable_length_count_towards_the_bound(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["texts"] = ["x" * 5000] * 10
        with pytest.raises(Problem) as caught:
            reading.read(file["texts"], select("", (10,)), 20_000, lambda: None)
    assert caught.value.status == 413
