"""Volumes beside a mask: at its place and size, or refused with the reason."""

import logging
from dataclasses import replace

import mrcfile
import numpy as np
import pytest

from surfora.masks.grids import Grid, edge_beside_nm, grid_of, placed_beside
from surfora.measures.valid_region import mask_region, read_valid_region
from tomocore.contract import InputError
from tomocore.volumes.formats import read_volume, write_volume
from tomocore.volumes.volume import Volume

MASK = Grid((20, 24, 28), 1.0, (0.0, 0.0, 0.0))


@pytest.mark.parametrize(
    ("shape", "edge_nm"),
    [
        ((20, 24, 28), 1.3),
        ((10, 12, 14), 2.6),
        ((5, 6, 7), 5.2),
        ((6, 8, 9), 3.9),
        ((40, 48, 56), 0.65),
        ((20, 24, 30), None),
        ((10, 24, 14), None),
    ],
)
def test_the_edge_given_for_a_mask_is_that_of_what_has_its_voxels_or_is_binned(tmp_path, shape, edge_nm):
    write_volume(tmp_path / "t.mrc", Volume(np.zeros(shape, np.int8), 7.0))
    found = edge_beside_nm(tmp_path / "t.mrc", MASK, 1.3)
    assert found == (None if edge_nm is None else pytest.approx(edge_nm))
    assert edge_beside_nm(tmp_path / "t.mrc", MASK, None) is None


@pytest.mark.parametrize("grid", [MASK, replace(MASK, origin_nm=(50.0, 30.0, 20.0))])
def test_a_place_that_a_program_dropped_is_that_of_the_mask(grid, caplog):
    caplog.set_level(logging.WARNING)
    other = (50.0, 30.0, 20.0) if grid is MASK else (0.0, 0.0, 0.0)
    volume = Volume(np.zeros(grid.shape, np.int8), 1.0, other)
    assert grid_of(placed_beside(volume, "t.mrc", grid)) == grid
    assert "t.mrc: 20 × 24 × 28 voxels of 1 nm" in caplog.text


@pytest.mark.parametrize("origin_nm", [(0.0, 0.0, 0.0), (50.0, -30.0, 20.0)])
@pytest.mark.parametrize(("factor", "lost"), [(2, 0), (4, 3), (0.5, 0)])
def test_a_binned_copy_that_kept_its_origin_has_the_corner_of_the_mask(factor, lost, origin_nm, caplog):
    caplog.set_level(logging.WARNING)
    mask = Grid((40, 80, 120), 1.1, origin_nm)
    shape = tuple(int((side + lost) / factor) for side in mask.shape)
    placed = placed_beside(Volume(np.zeros(shape, np.int8), 1.1 * factor, origin_nm), "t.mrc", mask)
    corners = [np.subtract(grid.origin_nm, grid.voxel_size_nm / 2) for grid in (grid_of(placed), mask)]
    np.testing.assert_allclose(*corners, atol=1e-9)
    assert "corner to corner" in caplog.text


@pytest.mark.parametrize(
    ("shape", "edge_nm", "origin_nm"),
    [
        ((10, 12, 14), 2.0, (0.5, 0.5, 0.5)),  # its header tells what binning moved
        ((14, 17, 20), 1.4, (0.0, 0.0, 0.0)),  # no whole number of voxels: resampled, not binned
        ((10, 12, 14), 2.1, (0.0, 0.0, 0.0)),
    ],
)
def test_other_volumes_stay_where_their_headers_place_them(shape, edge_nm, origin_nm):
    volume = Volume(np.zeros(shape, np.int8), edge_nm, origin_nm)
    assert placed_beside(volume, "t.mrc", MASK) is volume


def test_a_binned_valid_region_has_its_face_where_the_mask_has_it():
    data = np.zeros((20, 24, 28), np.int8)
    data[8:] = 1
    volumes = [Volume(data[::step, ::step, ::step], float(step)) for step in (1, 4)]
    fine, binned = (mask_region(placed_beside(volume, "v.mrc", MASK), "v.mrc") for volume in volumes)
    points = np.array([[14.0, 12.0, 13.0], [14.0, 12.0, 3.0]])
    np.testing.assert_allclose(binned.depth_nm(points), fine.depth_nm(points), atol=0.05)


@pytest.mark.parametrize(
    ("shape", "edge_nm", "origin_nm", "said"),
    [
        (MASK.shape, 1.3, (0.0, 0.0, 0.0), "one header is wrong; give the true edge with --voxel-size"),
        ((16, 20, 20), 1.0, (0.0, 0.0, 0.0), "no header says where the smaller one lies"),
        ((16, 20, 20), 1.0, (500.0, 0.0, 0.0), "they lie apart"),
    ],
)
def test_what_does_not_fit_a_mask_is_refused(shape, edge_nm, origin_nm, said):
    with pytest.raises(InputError, match=rf"t\.mrc: has .*, the mask beside it .*{said}"):
        placed_beside(Volume(np.zeros(shape, np.int8), edge_nm, origin_nm), "t.mrc", MASK)


def test_a_valid_region_is_as_large_as_the_mask_whose_edge_was_given(tmp_path):
    """Both headers say 1 Å, as programs write that do not know it; the faces lie at the given edge."""
    data = np.zeros((20, 24, 28), np.int8)
    data[10:] = 1
    with mrcfile.new(tmp_path / "valid.mrc") as file:
        file.set_data(data)
        file.voxel_size = 1.0
    grid = replace(MASK, voxel_size_nm=1.3)
    region = read_valid_region(tmp_path / "valid.mrc", 1.3, (0.0, 0.0, 0.0), grid=grid, given_nm=1.3)
    points = np.array([[18.2, 15.6, 1.3 * 12], [18.2, 15.6, 1.3 * 7]])
    np.testing.assert_allclose(region.depth_nm(points), [1.3 * 2.5, -1.3 * 2.5], atol=0.05)
    with pytest.raises(InputError, match="exactly 1 Å"):
        read_volume(tmp_path / "valid.mrc")
