"""The mathematics on one sinogram."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from savu_builtin import kernels
from savu_builtin.sample import line_integrals, phantom

from tests.support.sample import SMALL, correlation

ROW = SMALL.rows // 2


@pytest.fixture(scope="module")
def transmissions() -> NDArray[np.float32]:
    noise = np.random.default_rng(5)
    light = 20_000 * np.exp(-line_integrals(SMALL)[:, ROW])
    return (noise.poisson(light) / 20_000).astype(np.float32)


@pytest.fixture(scope="module")
def truth() -> NDArray[np.float32]:
    return phantom(SMALL)[:, ROW]


def project_back(sinogram: NDArray[np.float32], size: int = SMALL.columns) -> NDArray[np.float32]:
    slice_, _ = kernels.filtered_back_projection(
        (sinogram, SMALL.centre), angles=SMALL.angles, size=size, window="ram-lak", log=True
    )
    return slice_


def test_a_slice_is_the_truth_and_not_its_mirror_image(
    transmissions: NDArray[np.float32], truth: NDArray[np.float32]
) -> None:
    slice_ = project_back(transmissions)
    assert correlation(slice_, truth) > 0.95
    for turned in (truth.T, truth[::-1], truth[:, ::-1], truth[::-1, ::-1]):
        assert correlation(slice_, turned) < 0.8


def test_attenuation_is_in_units_of_the_pixel(
    transmissions: NDArray[np.float32], truth: NDArray[np.float32]
) -> None:
    inside = truth > 0
    slice_ = project_back(transmissions)
    assert slice_[inside].mean() == pytest.approx(truth[inside].mean(), rel=0.05)


def test_scikit_image_gives_the_same_slice(
    transmissions: NDArray[np.float32], truth: NDArray[np.float32]
) -> None:
    slice_, _ = kernels.inverse_radon(
        (transmissions, SMALL.centre),
        angles=SMALL.angles,
        window="ramp",
        interpolation="linear",
        circle=False,
        log=True,
    )
    assert correlation(slice_, truth) > 0.9


@pytest.mark.parametrize("size", [50, 51, 95, 96, 97, 130, 131])
def test_slices_of_any_size_show_the_same_middle(
    transmissions: NDArray[np.float32], size: int
) -> None:
    usual = project_back(transmissions)
    other = project_back(transmissions, size)
    assert other.shape == (size, size)
    if size % 2 == SMALL.columns % 2:
        margin = (size - SMALL.columns) // 2
        smaller, larger = (usual, other) if margin > 0 else (other, usual)
        cut = abs(margin)
        same = larger[cut : cut + smaller.shape[0], cut : cut + smaller.shape[0]]
        np.testing.assert_allclose(same[20:-20, 20:-20], smaller[20:-20, 20:-20], atol=1e-5)


@pytest.mark.parametrize("window", kernels.WINDOWS)
def test_every_filter_keeps_the_mean_attenuation(
    transmissions: NDArray[np.float32], truth: NDArray[np.float32], window: str
) -> None:
    slice_, _ = kernels.filtered_back_projection(
        (transmissions, SMALL.centre), angles=SMALL.angles, size=96, window=window, log=True
    )
    assert slice_[truth > 0].mean() == pytest.approx(truth[truth > 0].mean(), rel=0.08)


def test_the_centre_is_found_to_half_a_pixel(transmissions: NDArray[np.float32]) -> None:
    centre, inside = kernels.find_centre(
        transmissions, start=28, stop=68, step=0.5, radius=6, ratio=0.5, row_drop=20
    )
    assert abs(centre - SMALL.centre) <= 0.5
    assert inside


def test_a_centre_outside_the_search_is_not_claimed(transmissions: NDArray[np.float32]) -> None:
    _, inside = kernels.find_centre(
        transmissions, start=60, stop=80, step=0.5, radius=2, ratio=0.5, row_drop=20
    )
    assert not inside


def test_dead_columns_are_filled_from_their_neighbours() -> None:
    sinogram = np.random.default_rng(1).random((5, 8), np.float32)
    sinogram[:, [0, 3, 4]] = [0, 7, 7]
    filled = kernels.fill_dead_columns(sinogram)
    np.testing.assert_array_equal(filled[:, 0], sinogram[:, 1])
    np.testing.assert_allclose(filled[:, 3], (2 * sinogram[:, 2] + sinogram[:, 5]) / 3, rtol=1e-5)
    np.testing.assert_array_equal(filled[:, [1, 2, 5, 6, 7]], sinogram[:, [1, 2, 5, 6, 7]])


@pytest.mark.parametrize("dead", [slice(0, 4), slice(0, 3), slice(1, 4)])
def test_sinograms_with_hardly_a_living_column_are_no_error(dead: slice) -> None:
    sinogram = np.random.default_rng(1).random((5, 4), np.float32)
    sinogram[:, dead] = 0
    assert np.isfinite(kernels.fill_dead_columns(sinogram)).all()


def test_dead_columns_leave_no_trace_in_a_cleaned_sinogram(
    transmissions: NDArray[np.float32],
) -> None:
    broken = transmissions.copy()
    broken[:, 30] = 0
    cleaned = kernels.remove_rings(broken, snr=6.0, large=15, small=5)
    assert np.isfinite(cleaned).all()
    assert abs(cleaned[:, 30] - transmissions[:, 30]).mean() < 0.05


def test_rings_are_not_looked_for_where_there_is_no_noise() -> None:
    with pytest.raises(ValueError, match="noise"):
        kernels.remove_rings(np.ones((20, 30), np.float32), snr=3.0, large=11, small=5)


def test_no_light_counts_as_the_least_light_there_is() -> None:
    sinogram = np.array([[1.0, 0.5], [0.0, np.nan]], np.float32)
    values, missing = kernels.attenuation(sinogram)
    assert missing == 2
    np.testing.assert_allclose(values, -np.log([[1.0, 0.5], [0.5, 0.5]]), rtol=1e-6)


def test_a_sinogram_without_any_light_is_finite() -> None:
    values, missing = kernels.attenuation(np.zeros((2, 3), np.float32))
    assert missing == 6
    assert np.isfinite(values).all()
