"""Depths in the valid region, of masks and of IMOD models, against closed forms."""

import struct

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from surfora.geometry.surface import SurfaceMesh
from surfora.masks.imod_model import model_points
from surfora.measures import valid_region
from surfora.measures.valid_region import (
    DEPTH,
    ScaledRegion,
    depth_summary,
    mask_region,
    read_valid_region,
    with_depths,
)
from tomocore.contract import InputError
from tomocore.volumes.formats import write_volume
from tomocore.volumes.volume import Volume


def model(contours, with_mesh=False):
    """A binary IMOD model: an object of contours (n, 3) in x, y, z, and chunks that a reader must pass."""
    parts = [b"IMODV1.2", b"a slab".ljust(128, b"\0"), struct.pack(">3i", 100, 100, 50), bytes(92)]
    parts += [b"OBJT", b"faces".ljust(64, b"\0"), bytes(112)]
    for points in contours:
        points = np.asarray(points, ">f4")
        parts += [b"CONT", struct.pack(">iIii", len(points), 0, 0, 0), points.tobytes()]
    if with_mesh:
        parts += [b"MESH", struct.pack(">iiIhh", 2, 3, 0, 0, 0), bytes(24), bytes(12)]
    parts += [b"IMAT", struct.pack(">i", 16), bytes(16), b"MINX", struct.pack(">i", 72), bytes(72), b"IEOF"]
    return b"".join(parts)


def test_points_of_a_model_count_from_the_centre_of_the_first_voxel(tmp_path):
    path = tmp_path / "slab.mod"
    path.write_bytes(model([[(10.5, 20.5, 5.0)], [(1.0, 2.0, 3.0), (4.0, 5.0, 6.0)]], with_mesh=True))
    found = model_points(path).places
    np.testing.assert_allclose(found, [[10, 20, 5], [0.5, 1.5, 3], [3.5, 4.5, 6]])


def test_depth_between_two_tilted_planes(tmp_path):
    random = np.random.default_rng(0)
    turn = Rotation.from_euler("xy", [8.0, -5.0], degrees=True)
    faces = [
        turn.apply(np.column_stack([random.uniform(-40, 40, (9, 2)), np.full(9, height)]))
        for height in (-15.0, 15.0)
    ]
    centre, edge = np.array([50.0, 60.0, 40.0]), 1.25
    contours = [(face + centre) / edge + (0.5, 0.5, 0.0) for face in faces]
    path = tmp_path / "lamella.mod"
    path.write_bytes(model(contours))
    region = read_valid_region(path, edge, (0.0, 0.0, 0.0))
    points = turn.apply([[0, 0, 0], [5, 5, 12], [3, -4, -11], [10, 0, 20], [0, 0, -16]]) + centre
    np.testing.assert_allclose(region.depth_nm(points), [15, 3, 4, -5, -1], atol=0.15)
    larger = ScaledRegion(region, 2.0)
    np.testing.assert_allclose(larger.depth_nm(2 * points), 2 * region.depth_nm(points), atol=1e-9)


def test_what_is_no_model_of_two_faces_is_refused(tmp_path):
    path = tmp_path / "wrong.mod"
    for content, said in (
        (b"imod 1\n", "no model of IMOD"),
        (model([]), "has no points"),
        (model([[(1, 2, 3)] * 9])[:500], "ends before its data do"),
        (model([[(0, 0, 1), (9, 0, 1)]]), "three or more on either face"),
    ):
        path.write_bytes(content)
        with pytest.raises(InputError, match=said):
            read_valid_region(path, 1.0, (0.0, 0.0, 0.0))
    with pytest.raises(InputError, match="no such file"):
        read_valid_region(tmp_path / "none.mod", 1.0, (0.0, 0.0, 0.0))


def test_depth_in_a_mask_to_its_faces_and_to_those_of_the_volume():
    data = np.zeros((40, 50, 60), np.int8)
    data[10:30] = 1
    region = mask_region(Volume(data, 1.5, (3.0, 4.0, 5.0)), "slab.mrc")
    z = np.array([20.0, 11.0, 5.0, 35.0])  # voxels; the faces lie at 9.5 and 29.5
    points = np.column_stack([np.full(4, 3 + 1.5 * 30), np.full(4, 4 + 1.5 * 25), 5 + 1.5 * z])
    np.testing.assert_allclose(region.depth_nm(points), [14.25, 2.25, -6.75, -8.25], atol=0.4)
    beside = np.array([[3 + 1.5 * 2, 4 + 1.5 * 25, 5 + 1.5 * 20], [3 - 15.0, 4 + 1.5 * 25, 5 + 1.5 * 20]])
    near, out = region.depth_nm(beside)
    assert near == pytest.approx(2.5 * 1.5, abs=0.8)
    assert out == pytest.approx(-15 + 0.75, abs=1.6)
    with pytest.raises(InputError, match="marks no voxel"):
        mask_region(Volume(np.zeros((3, 3, 3), np.int8), 1.5), "empty.mrc")


def test_large_masks_are_thinned_to_the_same_depths(tmp_path, monkeypatch):
    data = np.zeros((60, 40, 40), np.int8)
    data[20:50] = 1
    write_volume(tmp_path / "m.mrc", Volume(data, 1.0))
    points = np.array([[20.0, 20.0, 25.0], [15.0, 22.0, 10.0], [20.0, 20.0, 55.0]])
    whole = read_valid_region(tmp_path / "m.mrc", 9.0, (9.0, 9.0, 9.0)).depth_nm(points)
    monkeypatch.setattr(valid_region, "MOST_VOXELS", 5000)
    thin = read_valid_region(tmp_path / "m.mrc", 9.0, (9.0, 9.0, 9.0)).depth_nm(points)
    np.testing.assert_allclose(whole, [5.5, -9.5, -5.5], atol=0.51)
    np.testing.assert_allclose(thin, whole, atol=2.0)


def test_columns_of_a_surface_half_outside():
    x, y = np.meshgrid(np.arange(0.0, 41.0, 2.0), np.arange(0.0, 41.0, 2.0))
    vertices = np.column_stack([x.ravel(), y.ravel(), y.ravel()])
    at = np.arange(21 * 21).reshape(21, 21)
    a, b, c, d = at[:-1, :-1].ravel(), at[:-1, 1:].ravel(), at[1:, :-1].ravel(), at[1:, 1:].ravel()
    mesh = SurfaceMesh(vertices, np.concatenate([np.column_stack([a, b, c]), np.column_stack([b, d, c])]))

    class Below:
        def depth_nm(self, points):
            return 20.0 - points[:, 2]

    assert depth_summary(mesh) == {}
    row = depth_summary(with_depths(mesh, Below()))
    assert row["outside_valid_area_share"] == pytest.approx(0.475, abs=0.01)
    assert row["valid_region_depth_median_nm"] == pytest.approx(0.0, abs=0.01)
    assert row["valid_region_depth_min_nm"] == -20.0
    assert DEPTH in with_depths(mesh, Below()).data
