"""Weighted statistics equal the plain ones on repeated values, and leave NaN out."""

import numpy as np
import pytest

from surfora.measures.statistics import (
    weighted_histogram,
    weighted_mean,
    weighted_quantiles,
    weighted_standard_deviation,
)

RNG = np.random.default_rng(11)
VALUES = RNG.normal(5, 2, size=500)
COUNTS = RNG.integers(1, 6, size=500)


def test_weights_act_as_repetitions():
    repeated = np.repeat(VALUES, COUNTS)
    assert weighted_mean(VALUES, COUNTS) == pytest.approx(repeated.mean())
    assert weighted_standard_deviation(VALUES, COUNTS) == pytest.approx(repeated.std())
    shares = [0.05, 0.25, 0.5, 0.75, 0.95]
    expected = np.quantile(repeated, shares, method="hazen")
    np.testing.assert_allclose(weighted_quantiles(VALUES, COUNTS, shares), expected, atol=0.02)
    np.testing.assert_allclose(
        weighted_quantiles(VALUES, np.ones(500), shares), np.quantile(VALUES, shares, method="hazen")
    )


def test_nan_and_weightless_values_are_left_out():
    values, weights = np.array([1.0, np.nan, 3.0, 99.0]), np.array([1.0, 5.0, 1.0, 0.0])
    assert weighted_mean(values, weights) == 2
    assert weighted_quantiles(values, weights, [0.5])[0] == 2
    np.testing.assert_allclose(weighted_histogram(values, weights, np.array([0, 2, 4.0])), [0.5, 0.5])


def test_nothing_finite_gives_nan():
    nothing = np.full(3, np.nan)
    assert np.isnan(weighted_mean(nothing, np.ones(3)))
    assert np.isnan(weighted_standard_deviation(nothing, np.ones(3)))
    assert np.isnan(weighted_quantiles(nothing, np.ones(3), [0.5])).all()
