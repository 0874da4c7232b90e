"""Unequal edges brought to one: shapes keep place, size and smoothness; the remedy that is told is true."""

import logging

import mrcfile
import numpy as np
import pytest

from tomocore.contract import InputError
from tomocore.volumes.formats import inspect_volume, read_volume
from tomocore.volumes.resampling import looks_like_labels, resampled
from tomocore.volumes.volume import Volume


def write_mrc(path, data, edges_nm):
    with mrcfile.new(path, overwrite=True) as file:
        file.set_data(data)
        file.set_volume()
        file.voxel_size = tuple(10 * edge for edge in edges_nm)
    return path


def distance_nm(volume: Volume, centre):
    """Of each voxel from a point (x, y, z)."""
    grid = np.moveaxis(np.indices(volume.shape), 0, -1).reshape(-1, 3)
    return np.linalg.norm(volume.world(grid) - np.asarray(centre), axis=1).reshape(volume.shape)


def blank(shape_zyx, size_nm):
    """Positions (x, y, z) of the voxels of a grid that starts at 0."""
    z, y, x = np.indices(shape_zyx)
    return x * size_nm[0], y * size_nm[1], z * size_nm[2]


def balls(shape_zyx, size_nm, *made):
    """Labels of balls (value, centre x, y, z, radius)."""
    x, y, z = blank(shape_zyx, size_nm)
    data = np.zeros(shape_zyx, np.int16)
    for value, (cx, cy, cz), radius in made:
        data[(x - cx) ** 2 + (y - cy) ** 2 + (z - cz) ** 2 <= radius**2] = value
    return data


@pytest.mark.parametrize("size_nm", [(1, 1, 2), (2, 1, 1), (1, 1.5, 1), (0.8, 0.8, 2.4)])
def test_balls_keep_volume_place_and_smoothness(size_nm):
    shape = tuple(round(44 / edge) for edge in size_nm[::-1])
    made = ((1, (12.3, 13.1, 20.2), 9.0), (700, (31.2, 29.7, 21.9), 10.0))
    volume = resampled(balls(shape, size_nm, *made), size_nm, min(size_nm), (5.0, 6.0, 7.0))
    for value, centre, radius in made:
        away = distance_nm(volume, np.add(centre, (5, 6, 7)))
        inside = volume.data == value
        measured = np.count_nonzero(inside) * volume.voxel_size_nm**3
        assert measured == pytest.approx(4 / 3 * np.pi * radius**3, rel=0.03)
        assert away[inside].max() < radius + 0.35 * max(size_nm)
        assert away[~inside & (away < 1.1 * radius)].min() > radius - 0.35 * max(size_nm)
    assert set(np.unique(volume.data)) == {0, 1, 700}
    assert volume.data.dtype == np.int16


def test_touching_labels_stay_in_touch_and_apart():
    data = np.zeros((10, 20, 20), np.uint8)
    data[2:8, 4:10, 4:16], data[2:8, 10:16, 4:16] = 3, 9
    volume = resampled(data, (1, 1, 2), 1.0)
    assert volume.shape == (20, 20, 20)
    middle = volume.data[4:16, :, 6:14]
    assert (middle[1:-1, 5:10] == 3).all()
    assert (middle[1:-1, 10:15] == 9).all()


def test_a_speck_between_coarse_voxels_is_lost_without_an_error():
    data = np.zeros((16, 16, 40), np.int8)
    data[8, 8, 20] = 1
    assert resampled(data, (1, 1, 3), 9.0).shape == (5, 2, 4)


def test_labels_that_fill_the_volume_fill_it():
    volume = resampled(np.full((6, 7, 8), 5, np.int8), (1, 1, 3), 1.0)
    assert volume.shape == (18, 7, 8)
    assert (volume.data == 5).all()


@pytest.mark.parametrize("kind", [np.float32, np.int16, np.uint16])
def test_grey_values_keep_their_place(kind):
    """A smooth field sampled anew; beyond the outermost centres the edge value holds."""
    size_nm = (1.0, 1.0, 1.6)

    def field(x, y, z):
        return 2000 + 800 * np.sin(x / 5) + 500 * np.cos(y / 6) + 600 * np.sin(z / 7)

    data = field(*blank((30, 41, 42), size_nm)).astype(kind)
    volume = resampled(data, size_nm, 1.0, (3.0, 0.0, -2.0))
    grid = np.moveaxis(np.indices(volume.shape), 0, -1).reshape(-1, 3)
    x, y, z = (volume.world(grid) - np.array([3.0, 0.0, -2.0])).T
    expected = field(x, y, z).reshape(volume.shape)
    assert volume.shape == (48, 41, 42)
    assert volume.data.dtype == kind
    np.testing.assert_allclose(volume.data[2:-2], expected[2:-2], atol=8)


def test_a_confidence_stays_within_its_range():
    data = (np.random.default_rng(0).random((12, 14, 16)) > 0.5) * np.float32(0.999) + np.float32(0.0005)
    new = resampled(data + 0.0001 * np.arange(16, dtype=np.float32) / 16, (1, 1, 2), 1.0).data
    assert 0 <= new.min() < new.max() <= 1


def test_holes_of_grey_values_do_not_spread():
    data = np.random.default_rng(0).normal(100, 10, (12, 20, 20)).astype(np.float32)
    data[:3] = np.nan
    new = resampled(data, (1, 1, 2), 1.0).data
    assert np.isnan(new[:5]).all()
    assert np.isfinite(new[7:]).all()
    assert not np.isfinite(resampled(np.full((4, 5, 6), np.nan), (1, 1, 2), 1.0).data).any()


@pytest.mark.parametrize(
    ("data", "labels"),
    [
        (np.random.default_rng(0).normal(size=(9, 9, 9)), False),
        (np.random.default_rng(0).integers(0, 255, (20, 20, 20), dtype=np.uint8), False),
        (np.pad(np.random.default_rng(0).integers(0, 9999, (12, 20, 20)), ((0, 20), (0, 0), (0, 0))), False),
        (np.pad(np.arange(512).reshape(8, 8, 8).repeat(3, axis=2), 4), True),
        (np.ones((4, 4, 4), bool), True),
        (np.ones((4, 4, 4)), True),
    ],
)
def test_labels_are_told_from_grey_values(data, labels):
    assert looks_like_labels(data) == labels


def test_unequal_edges_are_refused_with_the_true_remedy_and_resampled_on_request(tmp_path, caplog):
    size_nm = (1.0, 1.0, 2.0)
    path = write_mrc(tmp_path / "a.mrc", balls((20, 40, 40), size_nm, (1, (20, 20, 19), 14)), size_nm)
    header = inspect_volume(path)
    assert header.anisotropic
    for given in (None, 1.0):
        with pytest.raises(InputError, match=r"10 × 10 × 20 Å.*factor of 2.*with --resample"):
            read_volume(path, given)
    with caplog.at_level(logging.WARNING):
        volume = read_volume(path, resample=True, lazy=True)
    assert "resampled from 1 × 1 × 2 nm (x, y, z) to 1 nm" in caplog.text
    assert (volume.shape, volume.voxel_size_nm) == ((40, 40, 40), 1.0)
    assert volume.data.sum() == pytest.approx(4 / 3 * np.pi * 14**3, rel=0.02)
    coarse = read_volume(path, 2.0, resample=True)
    assert (coarse.shape, coarse.voxel_size_nm) == ((20, 20, 20), 2.0)


def test_a_header_that_lies_is_not_resampled(tmp_path):
    path = write_mrc(tmp_path / "a.mrc", np.ones((4, 5, 6), np.int8), (1, 1, 1))
    with mrcfile.mmap(path, "r+") as file:
        file.header.mz = 1
    for resample in (False, True):
        with pytest.raises(InputError, match=r"mz = 1 while nz = 4.*--voxel-size"):
            read_volume(path, resample=resample)
        assert read_volume(path, 1.5, resample=resample).voxel_size_nm == 1.5


@pytest.mark.parametrize(
    ("given", "said"),
    [(13.48, "ten times"), (0.1348, "a tenth of"), (134.8, "a hundred"), (1348.0, "a thousand"),
     (13.6, "ten times"), (1.348, ""), (2.696, ""), (13.9, "")],
)  # fmt: skip
def test_a_voxel_size_in_another_unit_is_warned_of(tmp_path, caplog, given, said):
    path = write_mrc(tmp_path / "a.mrc", np.ones((4, 5, 6), np.int8), (1.348,) * 3)
    with caplog.at_level(logging.WARNING):
        assert read_volume(path, given).voxel_size_nm == given
    assert said in caplog.text
    assert bool(said) == bool(caplog.records)
    if said:
        assert "the header's 13.48 Å; --voxel-size is in nm: 1.348?" in caplog.text


def test_a_voxel_size_given_for_a_header_that_lies_needs_no_word_where_it_can_be(tmp_path, caplog):
    path = write_mrc(tmp_path / "a.mrc", np.ones((4, 5, 6), np.int8), (0.1,) * 3)
    with caplog.at_level(logging.WARNING):
        read_volume(path, 1.0)
        assert not caplog.records
        read_volume(path, 134.8)
    assert "no tomogram has voxels of 134.8 nm" in caplog.text
