"""Gaps of a tomogram, NaN and padding, are filled without an edge, told, and do not shift the scale."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from tomocore.contract import InputError
from tomorois.network import binning, gaps
from tomorois.network.binning import bin_volume
from tomorois.network.gaps import binned_without_gaps, filled_from_about, holes_told, padding_of
from tomorois.network.intensity import prepare_tomogram
from tomorois.network.settings import IntensitySettings

NOISE = np.random.default_rng(1).normal(1000, 20, (24, 40, 44)).astype(np.float32)


def turned_by_30_degrees(shape: tuple[int, int, int]) -> np.ndarray:
    """Where a box turned about z leaves the corners of a grid empty."""
    _, y, x = np.indices(shape)
    cy, cx = y - shape[1] / 2, x - shape[2] / 2
    c, s = np.cos(np.pi / 6), np.sin(np.pi / 6)
    return (np.abs(c * cx + s * cy) > 0.42 * shape[2]) | (np.abs(c * cy - s * cx) > 0.42 * shape[1])


GAPS = {
    "planes": np.broadcast_to((np.arange(24) < 3)[:, None, None], NOISE.shape),
    "side": np.broadcast_to(np.arange(44) >= 38, NOISE.shape),
    "corners": turned_by_30_degrees(NOISE.shape),
}


@pytest.mark.parametrize("where", GAPS)
@pytest.mark.parametrize("value", [np.nan, 0.0, -np.inf, 1234.5678])
@pytest.mark.parametrize("factor", [1, 2, 3])
def test_gaps_are_filled_with_what_lies_about_them(caplog, where, value, factor) -> None:
    data = np.where(GAPS[where], value, NOISE).astype(np.float32)
    with caplog.at_level(logging.WARNING):
        scores = prepare_tomogram(data, factor, IntensitySettings(), "ts_1")
    whole = prepare_tomogram(NOISE, factor, IntensitySettings())
    gap = bin_volume(GAPS[where], factor) == 1
    measured = bin_volume(GAPS[where], factor) == 0
    assert np.isfinite(scores).all()
    assert np.abs(scores[gap]).max() < 4
    assert abs(scores[gap].mean()) < 0.5
    np.testing.assert_allclose(scores[measured], whole[measured], atol=0.15)
    assert len(caplog.records) == 1
    assert "ts_1: " in caplog.text
    assert ("NaN or infinite" if not np.isfinite(value) else "padding of the value") in caplog.text


def test_a_trend_goes_on_into_a_gap() -> None:
    z = np.broadcast_to(np.arange(32.0, dtype=np.float32)[:, None, None], (32, 16, 16))
    share = np.ones(z.shape, np.float32)
    share[12:20, 4:12, 4:12] = 0
    np.testing.assert_allclose(filled_from_about(z, share), z, atol=3)
    constant = np.full(z.shape, 7.0, np.float32)
    np.testing.assert_allclose(filled_from_about(constant, share), 7, atol=1e-5)


def test_blocks_measured_in_part_are_filled_by_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binning, "PLANES_TOGETHER", 4)
    monkeypatch.setattr(gaps, "PLANES_TOGETHER", 4)
    data = np.random.default_rng(0).normal(50, 1, (7, 8, 8)).astype(np.float32)
    whole = bin_volume(data, 2)
    data[0] = data[2, 1, 1] = data[4:6, 6:, 6:] = np.nan
    binned, missing = binned_without_gaps(data, 2)
    part = np.zeros(whole.shape, bool)
    part[0] = part[1, 0, 0] = part[2, 3, 3] = True
    np.testing.assert_allclose(binned[~part], whole[~part], rtol=1e-6)
    np.testing.assert_allclose(binned[0], (np.mean(data[1].reshape(4, 2, 4, 2), (1, 3)) + 50) / 2, atol=0.5)
    assert missing is not None
    assert np.argwhere(missing).tolist() == [[2, 3, 3]]


def test_what_is_missing_is_told_by_planes() -> None:
    assert holes_told([20, 20, 0, 3, 20], (5, 4, 5)) == (
        "63 voxels (63 %) are NaN or infinite, 3 of 5 planes wholly (z 0 to 1, 4)"
    )
    assert holes_told([0, 1], (2, 4, 5)) == "1 voxels (2.5 %) are NaN or infinite"


def test_two_planes_of_nan_are_told(caplog: pytest.LogCaptureFixture) -> None:
    data = NOISE.copy()
    data[:2] = np.nan
    with caplog.at_level(logging.WARNING):
        prepare_tomogram(data, 2, IntensitySettings(), "cell")
    assert (
        "cell: 3520 voxels (8.3 %) are NaN or infinite, 2 of 24 planes wholly (z 0 to 1); fill" in caplog.text
    )


@pytest.mark.parametrize(
    "data",
    [
        NOISE,
        np.random.default_rng(0).integers(-60, 60, NOISE.shape).astype(np.float32),
        np.random.default_rng(0).integers(-1, 2, NOISE.shape).astype(np.float32),
        np.where(GAPS["planes"], 0, 1).astype(np.float32),
        np.zeros((5, 6, 7), np.float32),
    ],
    ids=["grey", "bytes", "few bits", "mask", "constant"],
)
def test_what_is_no_padding(data: np.ndarray) -> None:
    assert padding_of(data) == (0, 0)


def test_padding_of_bytes_is_found() -> None:
    data = np.clip(np.random.default_rng(0).normal(0, 9, NOISE.shape), -128, 127).astype(np.int8)
    data[GAPS["corners"]] = 0
    share, value = padding_of(data)
    assert value == 0
    assert share == pytest.approx(GAPS["corners"].mean(), rel=0.05)


def test_nothing_but_nan_is_refused() -> None:
    with pytest.raises(InputError, match="cell: all voxels are NaN or infinite"):
        prepare_tomogram(np.full((4, 5, 6), np.nan), 2, IntensitySettings(), "cell")
