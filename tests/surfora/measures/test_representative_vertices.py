"""Carriers of a dense mesh: apart on their own sheet, all of the area, the curvature of every vertex."""

import numpy as np
import pytest
import shapes

from surfora.geometry.surface import SurfaceMesh, boundary_vertices, vertex_areas_nm2, vertex_normals
from surfora.measures import averaging, curvature
from surfora.measures.curvature import mesh_curvature
from surfora.measures.geodesics import triangle_fans
from surfora.measures.representative_vertices import carriers_of, interpolation
from tomocore.contract import InputError

SPACING_NM = 1.1


def carriers_on(vertices, faces, spacing_nm=SPACING_NM):
    areas = vertex_areas_nm2(vertices, faces)
    inner = ~boundary_vertices(faces, len(vertices))
    return carriers_of(vertices, areas, inner, triangle_fans(vertices, faces), spacing_nm)


def test_carriers_are_apart_and_stand_for_all_near_them():
    vertices, faces = shapes.open_sphere(9.0).mesh(0.5)
    few = carriers_on(vertices, faces)
    ends = few.vertex[np.repeat(np.arange(len(few.vertex)), np.diff(few.fans.start))]
    beside = few.vertex[few.fans.corner[:, 0]]
    assert np.linalg.norm(vertices[ends] - vertices[beside], axis=1).min() >= SPACING_NM
    away = np.linalg.norm(vertices - vertices[few.vertex[few.carrier]], axis=1)
    assert away.max() < SPACING_NM
    assert len(few.vertex) < 0.35 * len(vertices)
    assert few.areas_nm2.sum() == pytest.approx(vertex_areas_nm2(vertices, faces).sum())
    assert boundary_vertices(faces, len(vertices))[few.vertex].mean() < 0.02


def test_sheets_nearer_than_the_spacing_have_carriers_of_their_own():
    vertices, faces = shapes.flat_sheet(14.0, 12.0).mesh(0.5)
    normal = np.cross(*(vertices[faces[0, 1:]] - vertices[faces[0, 0]]))
    above = vertices + 0.4 * normal / np.linalg.norm(normal)
    both = np.concatenate([vertices, above])
    few = carriers_on(both, np.concatenate([faces, faces + len(vertices)]))
    assert ((few.vertex[few.carrier] < len(vertices)) == (np.arange(len(both)) < len(vertices))).all()


def test_a_linear_field_is_interpolated_and_what_is_not_known_has_no_say():
    vertices, faces = shapes.flat_sheet(14.0, 12.0).mesh(0.5)
    few = carriers_on(vertices, faces)
    values = vertices @ [0.3, -0.5, 0.2]
    known = np.ones(len(few.vertex), dtype=bool)
    inner = ~boundary_vertices(faces, len(vertices))
    normals = vertex_normals(vertices, faces)
    plain, tilted = interpolation(few, vertices, normals, SPACING_NM, known)
    off = [np.abs(weights @ values[few.vertex] - values)[inner] for weights in (plain, tilted)]
    assert off[0].max() < 0.4
    assert off[0].mean() < 0.11
    assert off[1].max() < 0.05
    assert off[1].mean() < 0.001
    known[::3] = False
    for weights in interpolation(few, vertices, normals, SPACING_NM, known):
        assert np.allclose(weights.sum(axis=1), 1.0)
        assert weights[:, ~known].nnz == 0


@pytest.mark.parametrize(
    "shape",
    [
        shapes.torus(12.0, 5.0),
        shapes.open_cylinder(8.0, 18.0),
        shapes.torus(9.0, 4.5),
    ],
)
def test_a_dense_mesh_has_the_curvature_that_all_its_vertices_would_find(shape, monkeypatch):
    vertices, faces = shape.mesh(0.6)
    mesh = SurfaceMesh(vertices, faces)
    few = mesh_curvature(mesh).data
    monkeypatch.setattr(curvature, "CARRIER_SPACING", 0.0)
    every = mesh_curvature(mesh).data
    boundary = boundary_vertices(faces, len(vertices))
    assert set(few) == set(every)
    assert (np.isfinite(few["mean_curvature_per_nm"]) == ~boundary).all()
    assert (few["curvature_confidence"][boundary] == 0).all()
    inside = shape.rim_distance(vertices) > 5.0
    truth = shape.mean_curvature(vertices)[inside]
    for found in (few, every):
        error = np.abs(found["mean_curvature_per_nm"][inside] - truth) / np.maximum(np.abs(truth), 0.02)
        assert np.median(error) < 0.01
        assert np.percentile(error, 95) < 0.05
    assert (few["k1_per_nm"] >= few["k2_per_nm"])[~boundary].all()
    apart = np.abs(np.einsum("ij,ij->i", few["k1_direction"], every["k1_direction"]))[inside]
    assert np.median(apart) > 0.999
    assert np.isin(few["curvature_radius_nm"][~boundary], scanned_nm(mesh)).all()


def scanned_nm(mesh):
    """Radii of the fits and of the averages."""
    edge_nm = float(triangle_fans(mesh.vertices, mesh.faces).shape[:, 0].mean())
    radii_nm = curvature.scan_radii_nm(curvature.CurvatureSettings(), edge_nm)
    return np.concatenate([radii_nm, radii_nm[-1] * np.array(averaging.REACHES)])


def test_a_mesh_smaller_than_the_way_between_carriers_is_refused_for_its_unit():
    """A vesicle in µm that is taken for nm: all of it is one carrier, with none beside it."""
    vertices, faces = shapes.sphere(9.0).mesh(1.0)
    with pytest.raises(InputError, match="check the unit of its file"):
        mesh_curvature(SurfaceMesh(vertices / 1000.0, faces))
