"""Synthetic tomograms of a segmentation's membranes: mid-surfaces and contacts with known answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial import cKDTree

from tomocore.contract import InputError
from tomocore.roiset import union_mask
from tomocore.volumes.formats import read_volume
from tomocore.volumes.volume import Volume
from tomorois.phantoms.from_labels import (
    LabelPhantomSettings,
    phantom_from_labels,
    sheet_from_mask,
    write_phantom_from_labels,
)
from tomorois.phantoms.shapes import Grid

GRID = Grid((44, 60, 72), 1.5, (30.0, -10.0, 4.0))
NORMAL = np.array([2.0, 1.0, 0.5]) / np.sqrt(5.25)
MIDDLE = np.array([30 + 53.0, -10 + 44.0, 4 + 32.0])
GAP_NM = 18.0
TE1 = Path(__file__).parents[4] / "shared" / "data" / "te1_labels.mrc.gz"


def world(grid):
    return grid.world(np.indices(grid.shape).reshape(3, -1).T)


def two_discs(labels=(4, 7)):
    """Two tilted discs of 24 nm radius, 2 voxels thick, ``GAP_NM`` apart, and a speck of another label."""
    offset = world(GRID) - MIDDLE
    height = offset @ NORMAL
    within = np.linalg.norm(offset - height[:, None] * NORMAL, axis=1) < 24.0
    data = np.zeros(np.prod(GRID.shape), np.int16)
    for side, label in zip((-0.5, 0.5), labels, strict=True):
        data[within & (np.abs(height - side * GAP_NM) <= 1.5)] = label
    data[:5] = 9
    return Volume(data.reshape(GRID.shape), GRID.voxel_size_nm, GRID.origin_nm)


@pytest.fixture(scope="module")
def phantom():
    return phantom_from_labels(two_discs(), [(4, 7)], 3, LabelPhantomSettings(margin_nm=15.0))


def test_the_mid_surface_of_a_shell_lies_on_its_sphere():
    grid = Grid((50, 54, 58), 1.3, (-36.0, -34.0, -30.0))
    radii = np.linalg.norm(world(grid), axis=1).reshape(grid.shape)
    sheet = sheet_from_mask(np.abs(radii - 26.0) <= 1.3, grid)
    found = np.linalg.norm(sheet.points, axis=1)
    # Planes through a curved neighbourhood lie inside it.
    assert -0.3 < (found - 26.0).mean() < 0.0
    assert found.std() < 0.2
    facing = np.abs(np.einsum("nj,nj->n", sheet.normals, sheet.points)) / found
    assert np.quantile(facing, 0.02) > np.cos(np.radians(8))
    assert sheet.areas.sum() == pytest.approx(4 * np.pi * 26.0**2, rel=0.04)
    outside = sheet.points / found[:, None] * 34.0
    assert sheet.distance_nm(outside).mean() == pytest.approx(34.0 - found.mean(), abs=0.1)


def test_distances_survive_torn_rims_and_junctions():
    """Where normals are ambiguous no distance may fall short of, or pass, that to the nearest point."""
    grid = Grid((40, 44, 48), 1.5, (-36.0, -33.0, -30.0))
    x, y, z = np.moveaxis(world(grid).reshape(*grid.shape, 3), -1, 0)
    torn = np.random.default_rng(1).random(grid.shape) < 0.6
    junction = (np.abs(z) <= 1.5) | ((np.abs(x) <= 1.5) & (z > 0))
    sheet = sheet_from_mask(junction & torn & (np.hypot(x, y) < 26.0), grid)
    far = np.random.default_rng(2).normal(size=(400, 3))
    far *= (60.0 / np.linalg.norm(far, axis=1))[:, None]
    nearest = np.linalg.norm(far[:, None] - sheet.points, axis=2).min(axis=1)
    assert (sheet.distance_nm(far) <= nearest + 1e-9).all()
    assert (sheet.distance_nm(far) > nearest - 0.5).all()


def test_parallel_discs_keep_their_gap_area_and_names(phantom):
    row = phantom.table.iloc[0]
    assert len(phantom.rois) == 1
    assert row.membranes == "4:7"
    assert row.gap_mean_nm == pytest.approx(GAP_NM, abs=0.3)
    assert row.gap_sd_nm < 0.6
    assert row.contact_area_nm2 == pytest.approx(np.pi * 24.0**2, rel=0.08)
    assert abs(np.array([row.axis_x, row.axis_y, row.axis_z]) @ NORMAL) > 0.99
    assert set(np.unique(phantom.membranes.data)) == {0, 4, 7}


def test_the_roi_runs_from_one_outer_leaflet_to_the_other(phantom):
    inside = phantom.tomogram.world(np.argwhere(union_mask(phantom.rois).data)) - MIDDLE
    height = inside @ NORMAL
    axial = np.linalg.norm(inside - height[:, None] * NORMAL, axis=1) < 10.0
    reach = GAP_NM / 2 + 3.0
    assert [height[axial].min(), height[axial].max()] == pytest.approx([-reach, reach], abs=1.0)
    whole = np.pi * 10.0**2 * 2 * reach
    assert axial.sum() * 1.5**3 == pytest.approx(whole, rel=0.1)


def test_it_is_a_tomogram_of_those_membranes(phantom):
    image, labels = phantom.tomogram.data, phantom.labels.data
    assert image.shape == labels.shape
    assert phantom.tomogram.origin_nm == phantom.membranes.origin_nm
    assert image[phantom.membranes.data > 0].mean() < -0.7
    again = phantom_from_labels(two_discs(), [(4, 7)], 3, LabelPhantomSettings(margin_nm=15.0))
    np.testing.assert_array_equal(again.tomogram.data, image)


def test_what_cannot_be_is_said(tmp_path):
    with pytest.raises(InputError, match=r"no label 3 .*4, 7, 9"):
        phantom_from_labels(two_discs(), [(4, 3)], 0)
    with pytest.raises(InputError, match="comes within 12 nm"):
        phantom_from_labels(two_discs(), [(4, 7)], 0, LabelPhantomSettings(contact_limit_nm=12.0))


def test_contacts_too_small_to_count_are_said(caplog):
    data = np.zeros((30, 40, 40), np.int8)
    data[10:20, 10:20, 12:14], data[10:20, 10:20, 24:26] = 1, 2
    settings = LabelPhantomSettings(contact_limit_nm=19.0, margin_nm=6.0)
    assert len(phantom_from_labels(Volume(data, 1.0), [(1, 2)], 0, settings).rois) == 0
    assert "too small to count" in caplog.text


def test_files_are_those_of_other_phantoms_and_kept(tmp_path):
    settings = LabelPhantomSettings(margin_nm=0.0)
    path = write_phantom_from_labels(tmp_path, "real", two_discs(), [(4, 7)], 1, settings)
    assert {p.name for p in tmp_path.iterdir()} == {
        "real.mrc",
        "real__membranes.mrc",
        "real__labels.mrc",
        "real__truth.npz",
        "real__truth.csv",
    }
    stamp = path.stat().st_mtime_ns
    assert write_phantom_from_labels(tmp_path, "real", two_discs(), [(4, 7)], 1, settings) == path
    assert path.stat().st_mtime_ns == stamp


@pytest.mark.slow
@pytest.mark.skipif(not TE1.exists(), reason="needs ../shared/data/te1_labels.mrc.gz")
def test_a_mitochondrion_and_the_er_meet_in_real_geometry():
    labels = read_volume(TE1, voxel_size_nm=1.244).crop((slice(150, 290), slice(540, 690), slice(400, 560)))
    settings = LabelPhantomSettings(contact_limit_nm=40.0, margin_nm=20.0)
    phantom = phantom_from_labels(labels, [(1, 3)], 0, settings)
    assert (phantom.table.membranes == "1:3").all()
    one, other = (cKDTree(np.argwhere(np.asarray(labels.data) == label) * 1.244) for label in (1, 3))
    nearest_voxels = one.query(other.data)[0].min()
    assert phantom.table.gap_min_nm.between(nearest_voxels, nearest_voxels + 4.0).all()
    assert phantom.table.contact_area_nm2.sum() > 3000
    assert set(np.unique(phantom.membranes.data)) <= {0, 1, 2, 3}
