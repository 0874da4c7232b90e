"""Levels of large tomograms: what napari slices is read only where it is shown."""

import numpy as np
import pytest

from tomorois.napari.layers import Coarser, Unread

SHAPE = (12, 17, 23)


class Counted:
    """Voxels that count how many of them were read."""

    def __init__(self, data):
        self.data, self.shape, self.dtype, self.read = data, data.shape, data.dtype, 0

    def __getitem__(self, key):
        self.read += self.data[key].size
        return self.data[key]


@pytest.fixture
def stored():
    return Counted(np.random.default_rng(4).normal(0, 1, SHAPE).astype(np.float32))


def test_slices_read_nothing_and_planes_read_only_themselves(stored):
    unread = Unread(stored)
    in_view = unread[:, 2:15, 3:20]
    assert in_view.shape == (12, 13, 17)
    assert stored.read == 0
    np.testing.assert_array_equal(in_view[5], stored.data[5, 2:15, 3:20])
    assert stored.read == 13 * 17
    np.testing.assert_array_equal(np.asarray(in_view[5:6]), stored.data[5:6, 2:15, 3:20])
    np.testing.assert_array_equal(in_view[:, 4, :], stored.data[:, 6, 3:20])
    np.testing.assert_array_equal(in_view[-1, 1:3, 4], stored.data[-1, 3:5, 7])
    np.testing.assert_array_equal(np.asarray(unread[::2, 1::3]), stored.data[::2, 1::3])


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_planes_of_the_coarse_level_are_read_and_space_is_means(stored, axis):
    coarse = Unread(Coarser(stored, 4))
    assert coarse.shape == (3, 5, 6)
    key = tuple(1 if k == axis else slice(None) for k in range(3))
    fine = tuple(4 if k == axis else slice(None, None, 4) for k in range(3))
    np.testing.assert_array_equal(coarse[key], stored.data[fine])
    assert stored.read <= stored.data[fine].size
    means = np.asarray(coarse)
    assert means[1, 2, 3] == pytest.approx(stored.data[4:8, 8:12, 12:16].mean(), abs=1e-6)
    assert means.shape == coarse.shape
