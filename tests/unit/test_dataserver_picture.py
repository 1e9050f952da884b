"""From values to a picture: reduced, windowed, encoded."""

import io
import math

import numpy as np
import pytest
from PIL import Image
from savu_dataserver.answers import picture
from savu_dataserver.problems import Problem


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        (None, None),
        ("MEAN:2x3", picture.Bin("MEAN", 2, 3)),
        ("maximum:2x2", picture.Bin("MAXIMUM", 2, 2)),
        ("MINIMUM:4", picture.Bin("MINIMUM", 4, 4)),
    ],
)
def test_bin_is_read_as_dawn_writes_it(text, meaning):
    assert picture.parse_bin(text) == meaning


@pytest.mark.parametrize(
    "text", ["MEAN", "MEAN:", "MEAN:0x2", "MEDIAN:2x2", "MEAN:2x2x2", "MEAN:-1"]
)
def test_a_bin_that_is_none_is_refused(text):
    with pytest.raises(Problem, match="bin is"):
        picture.parse_bin(text)


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        (None, ("OUTLIER_VALUES", 5.0, 95.0)),
        ("OUTLIER_VALUES", ("OUTLIER_VALUES", 5.0, 95.0)),
        ("OUTLIER_VALUES:0.5-99.5", ("OUTLIER_VALUES", 0.5, 99.5)),
        ("MEAN", ("MEAN", 5.0, 95.0)),
    ],
)
def test_histo_is_read_as_dawn_writes_it(text, meaning):
    histogram = picture.parse_histogram(text)
    assert (histogram.kind, histogram.low, histogram.high) == meaning


@pytest.mark.parametrize(
    "text", ["OUTLIER_VALUES:95-5", "OUTLIER_VALUES:5", "nonsense", "OUTLIER_VALUES:-1-5"]
)
def test_a_histo_that_is_none_is_refused(text):
    with pytest.raises(Problem, match="histo is"):
        picture.parse_histogram(text)


def test_the_mean_of_blocks_counts_smaller_blocks_at_the_edges_rightly():
    image = np.arange(5 * 7, dtype=np.uint16).reshape(5, 7)
    reduced = picture.reduce(image, picture.Bin("MEAN", 2, 3))
    assert reduced.shape == (3, 3)
    assert reduced[0, 0] == image[:2, :3].mean()
    assert reduced[2, 2] == image[4:, 6:].mean()


def test_the_maximum_of_blocks_keeps_the_type():
    image = np.arange(4 * 4, dtype=np.int16).reshape(4, 4)
    reduced = picture.reduce(image, picture.Bin("MAXIMUM", 2, 2))
    assert reduced.tolist() == [[5, 7], [13, 15]]
    assert reduced.dtype == np.int16


def test_a_picture_is_no_wider_than_asked_for():
    assert picture.to_width(np.ones((50, 101)), 50).shape == (17, 34)


def test_outliers_lie_outside_the_window():
    image = np.arange(1, 101, dtype=float).reshape(10, 10)
    window = picture.find_window(image, picture.Histogram())
    assert (window.low, window.high) == tuple(np.percentile(image, (5, 95)))


def test_the_mean_window_ends_at_e_times_the_mean():
    image = np.array([[0.0, 1.0, 1.0, 100.0]])
    window = picture.find_window(image, picture.Histogram("MEAN"))
    assert window == picture.Window(0.0, math.e * 25.5)


@pytest.mark.parametrize(
    "image",
    [
        np.full((3, 3), np.nan),
        np.array([[np.inf, -np.inf, np.nan]]),
        np.zeros((2, 2)),
        np.array([[1e308, -1e308]]),
        np.array([[2**64 - 1, 0]], dtype=np.uint64),
        np.array([[1.0, 2.0]], dtype=np.float16),
        np.array([[True, False]]),
        np.array([[1 + 1j, 0]]),
    ],
    ids=["nan", "infinite", "constant", "huge", "uint64", "float16", "bool", "complex"],
)
def test_any_numbers_make_a_picture(image):
    image = picture.as_image(image)
    grey = picture.to_grey(image, picture.find_window(image, picture.Histogram("FULL_RANGE")))
    assert grey.shape == image.shape


def test_nan_is_black():
    grey = picture.to_grey(np.array([[np.nan, 1.0]]), picture.Window(0.0, 1.0))
    assert grey.tolist() == [[0, 255]]


def test_one_axis_is_a_row_and_three_are_refused():
    assert picture.as_image(np.arange(5)).shape == (1, 5)
    assert picture.as_image(np.zeros((1, 4, 1, 5))).shape == (4, 5)
    with pytest.raises(Problem, match="at most 2"):
        picture.as_image(np.zeros((2, 3, 4)))


def test_a_png_holds_exactly_the_grey_values():
    grey = np.arange(256, dtype=np.uint8).reshape(8, 32)
    read = np.asarray(Image.open(io.BytesIO(picture.encode(grey, "PNG"))))
    assert np.array_equal(read, grey)


def test_a_jpg_wider_than_the_format_allows_is_refused():
    with pytest.raises(Problem, match="PNG"):
        picture.encode(np.zeros((1, 70_000), np.uint8), "JPG")
