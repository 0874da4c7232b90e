"""Holes of a mask that its medial mesh closes: filled as thick as the membrane, nothing beyond its rim."""

import numpy as np
import pytest
import shapes

from surfora.geometry.pieces import component_count
from surfora.geometry.surface import SurfaceMesh, edges_and_counts
from surfora.isosurface.boundary import isosurface
from surfora.isosurface.pinholes import _near, without_pinholes
from surfora.isosurface.settings import IsosurfaceSettings


def holed(shape, radius_voxels=3.0, thickness=3.0, count=4):
    mask, origin = shape.voxelise(1.0, thickness)
    vertices, faces = shape.mesh(1.3)
    medial = SurfaceMesh(vertices, faces, shape.normals(vertices))
    inside = np.argwhere(mask)
    world = inside[:, ::-1] + origin
    far = inside[shape.rim_distance(world) > 8]
    centres = far[np.random.default_rng(0).choice(len(far), count, replace=False)]
    pierced = mask.copy()
    near = (np.linalg.norm(inside[:, None] - centres[None], axis=2) < radius_voxels).any(axis=1)
    pierced[tuple(inside[near].T)] = False
    return mask, pierced, origin, medial


def handles(mesh):
    """Tunnels through a closed surface, by its Euler characteristic, beyond those of one sphere."""
    edges, _ = edges_and_counts(mesh.faces)
    return (2 - (len(np.unique(mesh.faces)) - len(edges) + len(mesh.faces))) // 2


@pytest.mark.parametrize("shape", [shapes.open_sphere(16.0), shapes.wavy_sheet(40.0)], ids=lambda s: s.name)
def test_holes_are_filled_as_the_membrane_was(shape):
    mask, pierced, origin, medial = holed(shape)
    filled = without_pinholes(
        pierced, 1.0, origin, medial.with_data(thickness_nm=np.full(len(medial.vertices), 3.0))
    )
    lost, back = mask & ~pierced, filled & ~pierced
    assert (back & lost).sum() > 0.97 * lost.sum()
    assert (back & ~mask).sum() < 0.05 * lost.sum()
    assert (filled & pierced).sum() == pierced.sum()


def test_whole_mask_stays_as_it_is():
    mask, _, origin, medial = holed(shapes.open_sphere(16.0))
    assert np.array_equal(without_pinholes(mask, 1.0, origin, medial), mask)
    empty = SurfaceMesh(np.zeros((0, 3)), np.empty((0, 3), np.int64))
    assert without_pinholes(mask, 1.0, origin, empty) is mask


def test_holes_of_the_medial_mesh_stay_holes():
    shape = shapes.wavy_sheet(40.0)
    _, pierced, origin, medial = holed(shape, radius_voxels=4.0, count=1)
    centre = np.argwhere(shape.voxelise(1.0, 3.0)[0] & ~pierced).mean(axis=0)[::-1] + origin
    open_there = np.linalg.norm(medial.vertices[medial.faces].mean(axis=1) - centre, axis=1) > 4.0
    filled = without_pinholes(pierced, 1.0, origin, medial.with_faces(medial.faces[open_there]))
    assert (filled & ~pierced).sum() < 0.2 * (shape.voxelise(1.0, 3.0)[0] & ~pierced).sum()


def test_voxels_that_touch_by_an_edge_leave_no_tunnel():
    mask = np.zeros((20, 20, 20), dtype=bool)
    for step in range(3, 17):
        mask[3:17, step, step] = True  # a diagonal sheet whose columns touch by their edges
    corner = np.array([[x, x, z] for x in (3.0, 16.0) for z in (3.0, 16.0)])
    medial = SurfaceMesh(corner, np.array([[0, 1, 2], [1, 3, 2]]))
    columns = component_count(
        *_faces(isosurface(mask, 1.0, settings=IsosurfaceSettings(smallest_part_nm2=0.0)))
    )
    sheet = isosurface(mask, 1.0, medial=medial)
    assert columns == 14
    assert component_count(*_faces(sheet)) == 1
    assert handles(sheet) == 0


def _faces(mesh):
    return mesh.faces, len(mesh.vertices)


def test_isosurface_closes_what_the_medial_mesh_closes():
    mask, pierced, origin, medial = holed(shapes.open_sphere(16.0))
    before = handles(isosurface(pierced, 1.0, origin))
    assert before > 1
    assert (
        handles(isosurface(pierced, 1.0, origin, medial=medial))
        == handles(isosurface(mask, 1.0, origin))
        == 1
    )


@pytest.mark.parametrize(
    "shape", [shapes.wavy_sheet(40.0), shapes.open_cylinder(14.0, 30.0)], ids=lambda s: s.name
)
def test_holes_of_a_sheet_of_one_voxel_are_filled(shape):
    mask, pierced, origin, medial = holed(shape, radius_voxels=3.4, thickness=1.0)
    medial = medial.with_data(thickness_nm=np.ones(len(medial.vertices)))
    whole, mended = (isosurface(one, 1.0, origin, medial=medial) for one in (mask, pierced))
    assert handles(isosurface(pierced, 1.0, origin)) > 10
    assert handles(mended) == handles(whole)


def test_places_near_others_are_those_that_every_distance_tells():
    random = np.random.default_rng(3)
    places, others = random.uniform(-9, 9, (500, 3)), random.uniform(-12, 4, (40, 3))
    away = np.linalg.norm(places[:, None] - others, axis=2).min(axis=1)
    for reach in (0.5, 1.7, 40.0):
        assert np.array_equal(_near(places, others, reach), away < reach)
    assert not _near(places, others[:0], 1.0).any()
    assert len(_near(places[:0], others, 1.0)) == 0
