"""Levels of large tomograms: what napari slices is read only where it is shown."""

import numpy as np
import pytest

from tomorois.napari.layers import Coarser, Planes, Unread, contrast_limits

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


def test_each_plane_is_read_once_whatever_is_asked_of_it(stored):
    planes = Planes(stored)
    fine, coarse = Unread(planes), Unread(Coarser(planes, 4))
    np.testing.assert_array_equal(fine[4, 2:15, 3:20], stored.data[4, 2:15, 3:20])
    np.testing.assert_array_equal(coarse[1], stored.data[4, ::4, ::4])
    np.testing.assert_array_equal(np.asarray(fine[4:5]), stored.data[4:5])
    assert stored.read == 17 * 23
    np.testing.assert_array_equal(fine[:, 3, 1:9], stored.data[:, 3, 1:9])
    assert stored.read == 17 * 23 + 12 * 23
    for at in (5, 6, 7, 5):
        np.testing.assert_array_equal(fine[at], stored.data[at])
    assert stored.read == 4 * 17 * 23 + 12 * 23  # three planes are kept


def test_space_is_dark_until_a_worker_has_made_it(stored):
    coarser = Coarser(stored, 4, meanwhile=-2.5)
    coarse, told = Unread(coarser), []
    assert (np.asarray(coarse) == -2.5).all()
    assert stored.read == 0
    made = coarser.make(lambda done, total: told.append((done, total)))
    assert told == [(0, 3), (1, 3), (2, 3)]
    np.testing.assert_array_equal(np.asarray(coarse), made)
    assert made[2, 3, 4] == pytest.approx(stored.data[8:12, 12:16, 16:20].mean(), abs=1e-6)


def test_contrast_comes_from_the_middle_of_few_slices(stored):
    low, high = contrast_limits(stored, edge=10)
    assert stored.read == 5 * 10 * 10
    middle = stored.data[[1, 3, 6, 8, 10], 3:13, 6:16]
    assert (low, high) == pytest.approx(np.quantile(middle, [0.005, 0.995]))


def test_labels_have_their_colours_without_numba(monkeypatch):
    monkeypatch.setattr("numba.core.dispatcher.Dispatcher._compile_for_args", None)
    from tomorois.napari.colours import label_colours

    for kind in (np.uint8, np.int16):
        drawn = label_colours({1: "#ff0000", 7: "#0000ff"}).map(np.array([[0, 1, 7, 3]], kind))
        np.testing.assert_array_equal(drawn[0, :, 3], [0, 1, 1, 0])
        np.testing.assert_array_equal(drawn[0, 1:3, :3], [[1, 0, 0], [0, 0, 1]])
