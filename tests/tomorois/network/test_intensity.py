"""Grey values as the network sees them: robust scores, block means, and the way back to the full grid."""

from __future__ import annotations

import numpy as np
import pytest

from tomocore.contract import InputError
from tomorois.network import binning
from tomorois.network.binning import bin_volume, unbin_planes, unbin_to_shape
from tomorois.network.intensity import (
    intensity_scale,
    intensity_skewness,
    normalise_intensity,
    prepare_tomogram,
)
from tomorois.network.settings import IntensitySettings

DARK = IntensitySettings()


def test_scores_have_median_zero_and_unit_spread_whatever_the_outliers() -> None:
    data = np.random.default_rng(1).normal(100, 7, (20, 31, 42))
    data[3:6, 4:9, 5:9] = -5000  # a gold bead
    scores = normalise_intensity(data, DARK)
    assert np.median(scores) == pytest.approx(0, abs=1e-5)
    assert scores[8:].std() == pytest.approx(1, rel=0.02)
    assert (scores.min(), scores.dtype) == (-6.0, np.float32)


def test_bright_tomograms_are_turned_over() -> None:
    data = np.random.default_rng(2).normal(size=(6, 7, 8))
    turned = normalise_intensity(-data, IntensitySettings(polarity="bright"))
    np.testing.assert_allclose(turned, normalise_intensity(data, DARK), atol=1e-5)


def test_a_filled_border_does_not_count() -> None:
    data = np.random.default_rng(3).normal(50, 4, (16, 30, 30)).astype(np.float32)
    data[:, :12] = 0
    scale = intensity_scale(data)
    assert scale.centre == pytest.approx(50, abs=0.2)
    assert scale.spread == pytest.approx(4, rel=0.05)


@pytest.mark.parametrize("kind", [np.int8, np.int16, np.uint16, np.float16])
def test_integer_and_half_precision_tomograms_give_the_same_scores(kind: type) -> None:
    data = np.random.default_rng(4).integers(0, 100, (6, 8, 10))
    np.testing.assert_allclose(
        prepare_tomogram(data.astype(kind), 2, DARK), prepare_tomogram(data.astype(float), 2, DARK), atol=2e-3
    )


@pytest.mark.parametrize(
    ("value", "problem"),
    [(np.nan, "all voxels are NaN"), (np.inf, "all voxels are NaN"), (2.5, "every voxel")],
)
def test_unusable_tomograms_are_refused_by_name(value: float, problem: str) -> None:
    with pytest.raises(InputError, match=f"cell7: .*{problem}"):
        prepare_tomogram(np.full((3, 4, 5), value), 1, DARK, name="cell7")


def test_mostly_constant_tomograms_fall_back_on_the_plain_spread() -> None:
    data = np.zeros((8, 8, 8))
    data[2, 3:5, 4] = 10.0
    assert np.isfinite(normalise_intensity(data, DARK)).all()


@pytest.mark.parametrize("planes_together", [64, 7, 2])
def test_block_means_average_what_is_there_at_the_edges(
    planes_together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binning, "PLANES_TOGETHER", planes_together)
    data = np.random.default_rng(6).normal(size=(11, 7, 9))
    binned = bin_volume(data, 3)
    assert binned.shape == (4, 3, 3)
    for z, y, x in np.ndindex(binned.shape):
        block = data[3 * z : 3 * z + 3, 3 * y : 3 * y + 3, 3 * x : 3 * x + 3]
        assert binned[z, y, x] == pytest.approx(block.mean(), rel=1e-5)


def test_a_ramp_survives_binning_and_interpolation_back() -> None:
    shape = (12, 18, 24)
    z, y, x = np.indices(shape)
    ramp = (2 * z - y + 3 * x).astype(np.float32)
    for factor in (2, 3):
        back = unbin_to_shape(bin_volume(ramp, factor), factor, shape)
        inner = (slice(factor, -factor),) * 3
        np.testing.assert_allclose(back[inner], ramp[inner], atol=1e-4)
        np.testing.assert_array_equal(unbin_planes(bin_volume(ramp, factor), factor, shape, 4, 9), back[4:9])
    assert unbin_to_shape(ramp, 1, shape) is ramp


def test_skewness_tells_the_polarity() -> None:
    dense = -np.random.default_rng(7).gamma(4, 1, (10, 20, 30))
    assert intensity_skewness(dense) == pytest.approx(-1, abs=0.1)
    assert intensity_skewness(-dense) == pytest.approx(1, abs=0.1)
