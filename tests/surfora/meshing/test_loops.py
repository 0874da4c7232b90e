"""Boundary loops: found, measured, filled, mended; vertices where loops touch are split."""

import numpy as np
import pytest
import shapes

from surfora.geometry.surface import boundary_edges, edges_and_counts, face_areas_nm2, face_cross_products
from surfora.meshing.loops import (
    boundary_loops,
    fill_loops,
    half_edge_twins,
    measure_loops,
    mend_folds,
    split_bow_ties,
)

SPHERE = shapes.sphere(20.0)


def punched(centre, radius_nm, edge_nm=2.0):
    """The sphere's mesh without the triangles near one of its points, and those triangles."""
    vertices, faces = SPHERE.mesh(edge_nm)
    near = np.linalg.norm(vertices[faces].mean(axis=1) - centre, axis=1) < radius_nm
    return vertices, faces[~near], faces[near]


def directed(faces):
    return {(int(f[k]), int(f[(k + 1) % 3])) for f in faces for k in range(3)}


def test_twins_are_the_same_edge_backwards():
    _, faces = shapes.open_sphere().mesh(3.0)
    twins = half_edge_twins(faces)
    origin, tip = faces.ravel(), np.roll(faces, -1, axis=1).ravel()
    inner = np.flatnonzero(twins >= 0)
    assert np.array_equal(origin[twins[inner]], tip[inner])
    assert np.array_equal(twins[twins[inner]], inner)
    assert (twins < 0).sum() == len(boundary_edges(faces))


@pytest.mark.parametrize(
    "shape", [shapes.sphere(), shapes.open_sphere(caps=1), shapes.open_cylinder(), shapes.apposed_spheres()]
)
def test_loops_are_those_of_the_shape_and_run_along_its_triangles(shape):
    _, faces = shape.mesh(3.0)
    loops = boundary_loops(faces)
    assert len(loops) == shape.boundary_loops
    half_edges = directed(faces)
    for loop in loops:
        assert all(
            (a, b) in half_edges for a, b in zip(loop.tolist(), np.roll(loop, -1).tolist(), strict=True)
        )


def test_measures_of_a_cylinder_rim():
    shape = shapes.open_cylinder(15.0, 45.0)
    vertices, faces = shape.mesh(0.5)
    measures = measure_loops(vertices, boundary_loops(faces))
    assert measures.perimeter_nm == pytest.approx(2 * np.pi * 15.0, rel=1e-3)
    assert measures.area_nm2 == pytest.approx(np.pi * 15.0**2, rel=1e-3)
    assert measures.diameter_nm == pytest.approx(30.0, rel=0.02)
    assert (measures.diameter_nm <= 30.0 + 1e-9).all()


def test_edges_that_are_not_manifold_count_as_boundary():
    three_on_one_edge = np.array([[0, 1, 2], [1, 0, 3], [0, 1, 4]])
    assert (half_edge_twins(three_on_one_edge) == -1).all()
    wound_against = np.array([[0, 1, 2], [0, 1, 3]])
    assert sorted(map(len, boundary_loops(wound_against))) == [3, 3]
    _, source = split_bow_ties(three_on_one_edge, 5)
    assert source.tolist() == [0, 1, 2, 3, 4, 0, 0, 1, 1]


def test_no_loops_no_measures():
    measures = measure_loops(np.zeros((3, 3)), [])
    assert len(measures.perimeter_nm) == len(measures.vertex_count) == 0


@pytest.mark.parametrize("radius_nm", [2.0, 4.0, 7.0])
def test_a_filled_hole_closes_the_sphere_and_winds_like_it(radius_nm):
    pole = SPHERE.sample(count=1, seed=3)[0][0]
    vertices, faces, gone = punched(pole, radius_nm)
    loops = boundary_loops(faces)
    assert len(loops) == 1
    added, owner = fill_loops(vertices, SPHERE.normals(vertices), faces, loops)
    assert (owner == 0).all()
    assert len(added) == len(loops[0]) - 2
    whole = np.concatenate([faces, added])
    assert len(boundary_edges(whole)) == 0
    assert edges_and_counts(whole)[1].max() == 2
    outward = np.einsum(
        "ij,ij->i", face_cross_products(vertices, added), SPHERE.normals(vertices[added[:, 0]])
    )
    assert (outward > 0).all()
    lost, new = face_areas_nm2(vertices, gone).sum(), face_areas_nm2(vertices, added).sum()
    assert 0.9 * lost < new < lost  # chords lie inside the sphere: the bias is towards less


def test_a_flat_hole_gets_its_own_area_whatever_its_outline():
    vertices, faces = shapes.flat_sheet(30.0, 30.0).mesh(1.5)
    sheet = shapes.flat_sheet(30.0, 30.0)
    local = (vertices - sheet.centre_nm) @ sheet.rotation
    centre = local[faces].mean(axis=1)
    star = np.hypot(centre[:, 0], centre[:, 1]) < 5 + 2 * np.cos(3 * np.arctan2(centre[:, 1], centre[:, 0]))
    kept = faces[~star]
    holes = [loop for loop in boundary_loops(kept) if len(loop) < 60]
    added, _ = fill_loops(vertices, sheet.normals(vertices), kept, holes)
    assert face_areas_nm2(vertices, added).sum() == pytest.approx(face_areas_nm2(vertices, faces[star]).sum())


def test_the_rim_of_an_open_sheet_or_tube_is_not_filled():
    for shape in (shapes.flat_sheet(9.0, 9.0), shapes.open_cylinder(4.0, 12.0)):
        vertices, faces = shape.mesh(1.5)
        added, _ = fill_loops(vertices, shape.normals(vertices), faces, boundary_loops(faces))
        assert len(added) == 0


def test_no_edge_of_the_mesh_is_used_again():
    # A hole of four corners, one of whose diagonals is an edge of the mesh elsewhere: a bent strip.
    vertices = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [0.5, 0.5, -1.0]])
    normals = np.tile([0.0, 0.0, 1.0], (5, 1))
    faces = np.array([[0, 2, 4]])
    added, _ = fill_loops(vertices, normals, faces, [np.array([3, 2, 1, 0])])
    assert len(added) == 2
    assert (0, 2) not in directed(added)
    assert (2, 0) not in directed(added)


def test_a_fold_is_mended_where_filling_fails():
    pole = SPHERE.sample(count=1, seed=3)[0][0]
    vertices, faces, _ = punched(pole, 2.5)
    normals = SPHERE.normals(vertices)
    loop = boundary_loops(faces)[0]
    offset = vertices[loop] - vertices[loop].mean(axis=0)
    across = offset[0] / np.linalg.norm(offset[0])
    vertices = vertices.copy()
    vertices[loop] -= 1.5 * np.outer(offset @ across, across)  # the hole's outline turned over
    assert len(fill_loops(vertices, normals, faces, [loop])[0]) == 0
    mended = mend_folds(vertices, normals, faces, [loop])
    assert len(boundary_edges(mended)) == 0
    assert edges_and_counts(mended)[1].max() == 2


def test_a_fold_that_hangs_on_a_rim_is_cut_off():
    shape = shapes.flat_sheet(20.0, 20.0)
    vertices, faces = shape.mesh(2.0)
    local = (vertices - shape.centre_nm) @ shape.rotation
    middle = local[faces].mean(axis=1)
    hole = np.hypot(middle[:, 0], middle[:, 1] - 7.0) < 1.6
    kept, vertices = faces[~hole], vertices.copy()
    inner = min(boundary_loops(kept), key=len)
    offset = vertices[inner] - vertices[inner].mean(axis=0)
    across = offset[0] / np.linalg.norm(offset[0])
    vertices[inner] -= 1.5 * np.outer(offset @ across, across)
    mended = mend_folds(vertices, shape.normals(vertices), kept, [inner])
    assert len(boundary_loops(kept)) == 2
    assert len(boundary_loops(mended)) == 1
    assert len(mended) < len(kept)
    assert edges_and_counts(mended)[1].max() == 2


def test_mending_leaves_a_rim_alone():
    shape = shapes.open_cylinder(4.0, 12.0)
    vertices, faces = shape.mesh(1.5)
    assert np.array_equal(mend_folds(vertices, shape.normals(vertices), faces, boundary_loops(faces)), faces)
    assert mend_folds(vertices, shape.normals(vertices), faces, []) is faces


def test_bow_ties_are_split_and_their_loops_kept_apart():
    # Two triangles that touch at vertex 2 only, and a third that makes one fan with the first.
    faces = np.array([[0, 1, 2], [2, 3, 4], [0, 2, 5]])
    loops = boundary_loops(faces)
    assert sorted(len(loop) for loop in loops) == [3, 4]
    split, source = split_bow_ties(faces, 6)
    assert source.tolist() == [0, 1, 2, 3, 4, 5, 2]
    assert np.array_equal(source[split], faces)
    assert not set(split[1]) & set(split[[0, 2]].ravel())
    assert len(set(split[0]) & set(split[2])) == 2


def test_a_mesh_without_bow_ties_is_left_as_it_is():
    vertices, faces = shapes.open_sphere().mesh(3.0)
    split, source = split_bow_ties(faces, len(vertices))
    assert np.array_equal(split, faces)
    assert np.array_equal(source, np.arange(len(vertices)))
