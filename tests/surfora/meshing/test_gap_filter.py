"""The gap filter against slow twins, and on bridges planted over gaps and foreign labels."""

import numpy as np
import pytest
import shapes
from scipy.ndimage import map_coordinates
from scipy.spatial import cKDTree

from surfora.meshing.gap_filter import gap_tests, triangle_meets_box
from tomocore.contract import InputError
from tomocore.volumes.volume import Volume

HALF = 0.25


def clipped(polygon, axis, limit, sign):
    """Sutherland–Hodgman: the part of a polygon with sign · x[axis] ≤ limit."""
    kept = []
    for here, there in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        a, b = sign * here[axis] - limit, sign * there[axis] - limit
        if a <= 0:
            kept.append(here)
        if (a < 0) != (b < 0) and a != b:
            kept.append(here + (there - here) * a / (a - b))
    return np.array(kept).reshape(-1, 3)


def meets_box_slowly(corner, at):
    polygon = corner - at
    for axis in range(3):
        for sign in (1, -1):
            if len(polygon):
                polygon = clipped(polygon, axis, HALF, sign)
    return len(polygon) > 0


def gap_boxes_slowly(occupied, foreign, limit, low, high):
    """Centres (voxels) of boxes from voxel ``low`` to ``high`` far from the mask, and in foreign voxels."""
    boxes = np.stack(np.meshgrid(*[np.arange(2 * a, 2 * b) for a, b in zip(low, high, strict=True)]), -1)
    centres = boxes.reshape(-1, 3) * 0.5 - HALF
    distance = cKDTree(np.argwhere(occupied)).query(centres)[0]
    voxel = np.round(centres).astype(int)
    inside = ((voxel >= 0) & (voxel < occupied.shape)).all(axis=1)
    is_foreign = np.zeros(len(centres), bool)
    is_foreign[inside] = foreign[tuple(voxel[inside].T)]
    return centres[(distance > limit)], centres[is_foreign & (distance <= limit)]


def over_own_slowly(occupied, corner, boxes):
    """Whether the mask is met within half a voxel of boxes (n, 3) along the normal of a triangle."""
    normal = np.cross(corner[1] - corner[0], corner[2] - corner[0])
    normal /= np.linalg.norm(normal)
    shares = [
        map_coordinates(occupied.astype(float), (boxes + t * normal).T, order=1, mode="grid-constant")
        for t in (-0.5, -0.25, 0, 0.25, 0.5)
    ]
    return np.max(shares, axis=0) >= 0.4


def sheet_mask(empty, thickness=3, shape=(20, 24, 30)):
    """A sheet in the xy plane of a volume, cut in two by ``empty`` voxels along x."""
    mask = np.zeros(shape, bool)
    mask[8 : 8 + thickness, 2:-2, 2:-2] = True
    mask[:, :, 14 : 14 + empty] = False
    return mask


def strip(z=9.0, step=1.4, x_range=(3, 26), y_range=(3, 20)):
    """A triangulated strip, vertices x, y, z in voxels (nm), through the sheet and across the cut."""
    x, y = np.arange(*x_range, step), np.arange(*y_range, step)
    gx, gy = np.meshgrid(x, y, indexing="ij")
    vertices = np.column_stack([gx.ravel(), gy.ravel(), np.full(gx.size, z)])
    a = (np.arange(len(x) - 1)[:, None] * len(y) + np.arange(len(y) - 1)).ravel()
    b = a + len(y)
    return vertices, np.concatenate([np.column_stack([a, b, b + 1]), np.column_stack([a, b + 1, a + 1])])


def test_triangle_box_test_equals_clipping():
    random = np.random.default_rng(0)
    met = 0
    for _ in range(3000):
        corner = random.normal(0, random.uniform(0.1, 1.5), (3, 3)) + random.normal(0, 0.4, 3)
        at = random.normal(0, 0.3, 3)
        edge = np.roll(corner, -1, axis=0) - corner
        expected = meets_box_slowly(corner, at)
        assert triangle_meets_box(corner, edge, np.cross(edge[0], edge[1]), at) == expected
        met += expected
    assert 500 < met < 2500


def test_gap_test_equals_brute_force_on_random_masks():
    random = np.random.default_rng(1)
    occupied = random.random((8, 9, 10)) < 0.15
    foreign = ~occupied & (random.random(occupied.shape) < 0.02)
    centre = random.uniform(1, 7, (300, 1, 3))
    vertices = (centre + random.normal(0, 0.6, (300, 3, 3))).reshape(-1, 3)
    faces = np.arange(900).reshape(-1, 3)
    support = Volume(occupied, 1.0)
    tested = gap_tests(vertices, faces, support, foreign=foreign, limit_voxels=1.2)
    empty, other = gap_boxes_slowly(occupied, foreign, 1.2, (-6, -6, -6), np.array(occupied.shape) + 6)
    for face, keep in zip(faces, tested.keep, strict=True):
        corner = vertices[face][:, ::-1]
        low, high = corner.min(axis=0) - HALF, corner.max(axis=0) + HALF
        boxes = np.concatenate([empty, other[~over_own_slowly(occupied, corner, other)]])
        near = boxes[((boxes >= low) & (boxes <= high)).all(axis=1)]
        assert keep == (not any(meets_box_slowly(corner, box) for box in near))
    assert 50 < tested.keep.sum() < 250
    assert (tested.box_tests[~tested.keep] > 0).all()


@pytest.mark.parametrize(("empty", "bridged"), [(0, True), (1, True), (2, False), (3, False), (4, False)])
@pytest.mark.parametrize("thickness", [1, 2, 4])
def test_bridges_over_two_empty_voxels_are_dropped_and_nothing_else(empty, bridged, thickness):
    mask = sheet_mask(empty, thickness)
    vertices, faces = strip(z=8 + (thickness - 1) / 2)
    tested = gap_tests(vertices, faces, Volume(mask, 1.0))
    x = vertices[faces][:, :, 0]
    crosses = (x.min(axis=1) < 14 + empty / 2 - 0.5) & (x.max(axis=1) > 14 + empty / 2 - 0.5)
    assert crosses.sum() >= 20
    if bridged:
        assert tested.keep.all()
    else:
        assert not tested.keep[crosses].any()
        apart = (x.max(axis=1) < 13.5) | (x.min(axis=1) > 13.5 + empty)
        assert tested.keep[apart].all()
        assert (tested.box_tests[crosses] > 0).all()


@pytest.mark.parametrize("seed", [7, 8, 9, 10])
def test_bridges_in_any_direction_are_dropped(seed):
    sheet = shapes.flat_sheet(33.0, 24.0, seed=seed)
    mask, origin = sheet.voxelise(1.0, 3.0)
    support = Volume(mask, 1.0, origin)
    inside = np.argwhere(mask)
    across = ((support.world(inside) - sheet.centre_nm) @ sheet.rotation)[:, 0]
    mask[tuple(inside[np.abs(across) < 1.2].T)] = False
    vertices, faces = sheet.mesh(3.0)
    x = ((vertices - sheet.centre_nm) @ sheet.rotation)[faces][:, :, 0]
    keep = gap_tests(vertices, faces, Volume(mask, 1.0, origin)).keep
    bridges = (x.min(axis=1) < 0) & (x.max(axis=1) > 0)
    assert bridges.sum() > 10
    assert not keep[bridges].any()
    assert keep[~bridges].all()


def test_bridges_through_another_label_are_dropped():
    mask = sheet_mask(0)
    foreign = np.zeros_like(mask)
    foreign[:, :, 14] = True
    vertices, faces = strip()
    x = vertices[faces][:, :, 0]
    crosses = (x.min(axis=1) < 13.5) & (x.max(axis=1) > 14.5)
    own = gap_tests(vertices, faces, Volume(mask & ~foreign, 1.0))
    assert own.keep.all()  # one voxel alone is no gap
    told = gap_tests(vertices, faces, Volume(mask & ~foreign, 1.0), foreign=foreign)
    assert not told.keep[crosses].any()
    assert told.keep[(x.max(axis=1) < 13.4) | (x.min(axis=1) > 14.6)].all()


@pytest.mark.parametrize("thickness", [1.0, 2.0, 4.0])
def test_the_surface_of_a_mask_one_voxel_thick_meets_no_gap(thickness):
    vesicle = shapes.invaginated_vesicle()
    mask, origin = vesicle.voxelise(1.0, thickness)
    vertices, faces = vesicle.mesh(1.5)
    assert gap_tests(vertices, faces, Volume(mask, 1.0, origin)).keep.all()


@pytest.mark.parametrize("shape", [shapes.sphere(14.0), shapes.invaginated_vesicle()], ids=lambda s: s.name)
@pytest.mark.parametrize("thickness", [1.0, 2.0])
@pytest.mark.parametrize("filled", [(-6.0, 0.0), (0.0, 6.0), (-6.0, 6.0)], ids=["inside", "outside", "both"])
def test_labels_on_either_side_do_not_cut_a_thin_membrane(shape, thickness, filled):
    mask, origin = shape.voxelise(1.0, thickness, margin_nm=7.0)
    support = Volume(mask, 1.0, origin)
    height = shape.signed_distance(support.world(np.argwhere(np.ones_like(mask)))).reshape(mask.shape)
    foreign = ~mask & (height > filled[0]) & (height < filled[1])
    vertices, faces = shape.mesh(1.5)
    assert gap_tests(vertices, faces, support, foreign=foreign).keep.all()
    lifted = vertices + 2.5 * shape.normals(vertices)
    told = gap_tests(lifted, faces, support, foreign=foreign, limit_voxels=4.0).keep
    assert told.any() != (filled[1] > 0)


def test_lengths_are_physical_and_the_origin_counts():
    vertices, faces = strip()
    place = np.array([100.0, -30.0, 7.0])
    expected = gap_tests(vertices, faces, Volume(sheet_mask(2), 1.0, (0.0, 0.0, 0.0))).keep
    moved = gap_tests(vertices * 1.3 + place, faces, Volume(sheet_mask(2), 1.3, tuple(place))).keep
    assert np.array_equal(expected, moved)
    assert 0 < expected.sum() < len(expected)


def test_wrong_input_is_told():
    vertices, faces = strip()
    with pytest.raises(InputError, match="one grid"):
        gap_tests(vertices, faces, Volume(sheet_mask(2), 1.0), foreign=np.zeros((3, 3, 3), bool))
    with pytest.raises(InputError, match="gap limit"):
        gap_tests(vertices, faces, Volume(sheet_mask(2), 1.0), limit_voxels=9.0)
