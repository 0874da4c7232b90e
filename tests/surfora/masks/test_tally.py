"""Voxels and boxes of values against counting each value by itself."""

import numpy as np
import pytest

from surfora.masks.tally import WIDEST_RANGE, tallied


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (np.int8, [-128, -1, 0, 3, 127]),
        (np.uint8, [0, 7, 255]),
        (np.int16, [-32768, 0, 32767]),
        (np.uint16, [0, 40000]),
        (np.int32, [-5, 0, 70000]),
        (np.int32, [-2, 0, 2 * WIDEST_RANGE]),
    ],
)
def test_voxels_and_boxes_of_each_value(kind, values):
    rng = np.random.default_rng(3)
    data = np.zeros((7, 11, 13), kind)
    for value in values:
        start = rng.integers(0, 5, 3)
        stop = start + rng.integers(1, 3, 3)
        data[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))] = value
        data[tuple(rng.integers(0, data.shape))] = value
    found = tallied(data[:, ::-1])  # not contiguous
    assert list(found) == sorted(set(data.ravel().tolist()))
    for value, (count, box) in found.items():
        where = np.argwhere(data[:, ::-1] == value)
        assert count == len(where)
        assert [axis.start for axis in box] == where.min(axis=0).tolist()
        assert [axis.stop for axis in box] == (where.max(axis=0) + 1).tolist()
