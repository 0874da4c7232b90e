"""Distances against closed forms and a plain twin; sides, sight and contact areas."""

from pathlib import Path

import numpy as np
import pytest
import pyvista as pv
import shapes

from surfora.geometry.nearest import Scenes, closest_points_on_triangles, surface_distance, way_to
from surfora.geometry.surface import SurfaceMesh
from surfora.measures.distance import (
    distance_evidence_columns,
    distance_summary,
    target_names,
    with_distances,
)
from surfora.measures.settings import DistanceSettings
from tomocore.contract import InputError


def sphere_mesh(radius_nm, centre_nm=(300.0, -200.0, 500.0), edge_nm=1.5):
    shape = shapes.sphere(radius_nm=radius_nm)
    vertices, faces = shape.mesh(edge_nm)
    outward = shape.normals(vertices)
    return SurfaceMesh(vertices - vertices.mean(axis=0) + centre_nm, faces, outward)


def plain_closest(point, corner):
    """Nearest point of one triangle by trying its inside, its three edges and nothing clever."""
    a, b, c = corner
    normal = np.cross(b - a, c - a)
    foot = point - normal * (np.dot(point - a, normal) / np.dot(normal, normal))
    sides = [np.dot(np.cross(q - p, foot - p), normal) for p, q in ((a, b), (b, c), (c, a))]
    candidates = [foot] if min(sides) >= 0 else []
    for p, q in ((a, b), (b, c), (c, a)):
        t = np.clip(np.dot(point - p, q - p) / np.dot(q - p, q - p), 0, 1)
        candidates.append(p + t * (q - p))
    return min(candidates, key=lambda candidate: np.linalg.norm(candidate - point))


def test_nearest_point_of_a_triangle_equals_the_plain_twin():
    rng = np.random.default_rng(5)
    points, corners = rng.normal(size=(3000, 3)) * 2, rng.normal(size=(3000, 3, 3))
    expected = np.array([plain_closest(p, c) for p, c in zip(points, corners, strict=True)])
    np.testing.assert_allclose(closest_points_on_triangles(points, corners), expected, atol=1e-9)


def test_concentric_spheres_far_from_the_origin():
    inner, outer = sphere_mesh(20.0), sphere_mesh(32.0)
    there = surface_distance(inner, outer)
    # Flat triangles cut inside the outer sphere: at most edge² / (8 r) too near, never too far.
    assert (there.distance_nm <= 12 + 1e-9).all()
    assert (there.distance_nm >= 12 - 1.5**2 / 32).all()
    assert (there.side == 1).all()
    assert there.facing_deg.max() < 5
    assert there.is_seen.all()
    back = surface_distance(outer, inner)
    assert (back.side == -1).all()
    assert back.facing_deg.min() > 175


def test_scenes_that_are_kept_are_of_the_mesh_that_is_asked_about():
    balls = [sphere_mesh(radius, edge_nm=4.0) for radius in (10.0, 14.0, 18.0, 22.0, 26.0, 30.0)]
    scenes = Scenes()
    for mesh in (*balls, *balls[::-1]):  # more than are kept
        for target in (balls[0], balls[3]):
            if mesh is not target:
                kept, alone = way_to(mesh, target, scenes), way_to(mesh, target)
                np.testing.assert_array_equal(kept.nearest.distance_nm, alone.nearest.distance_nm)
                np.testing.assert_array_equal(kept.nearest.is_seen, alone.nearest.is_seen)
                np.testing.assert_array_equal(kept.along_nm, alone.along_nm)
    marked = balls[0].with_data(more=np.zeros(len(balls[0].vertices)))
    assert scenes.of(marked) is scenes.of(balls[0])


def test_result_does_not_depend_on_the_place_in_the_field_of_view():
    near = surface_distance(sphere_mesh(10.0, (0, 0, 0)), sphere_mesh(15.0, (1, 2, 3)))
    far = surface_distance(sphere_mesh(10.0, (2000, 1500, 900)), sphere_mesh(15.0, (2001, 1502, 903)))
    np.testing.assert_allclose(near.distance_nm, far.distance_nm, atol=1e-5)


def test_own_membrane_in_the_way_hides_the_target():
    poly = pv.Plane(direction=(0, 0, 1), i_size=40, j_size=40, i_resolution=30, j_resolution=30).triangulate()
    sheet = np.asarray(poly.points, float)
    faces = np.asarray(poly.regular_faces, np.int64)
    raised = 1.1 * sheet + np.array([0.4, 0.2, 5.0])  # so that no ray runs through its edges
    both = SurfaceMesh(np.concatenate([sheet, raised]), np.concatenate([faces, faces + len(sheet)]))
    target = SurfaceMesh(1.3 * sheet + np.array([0.0, 0.0, 12.0]), faces)
    distances = surface_distance(both, target)
    lower, upper = np.arange(len(sheet)), np.arange(len(sheet), 2 * len(sheet))
    np.testing.assert_allclose(distances.distance_nm[lower], 12)
    np.testing.assert_allclose(distances.distance_nm[upper], 7)
    assert not distances.is_seen[lower].any()
    assert distances.is_seen[upper].all()
    assert distance_summary(both, distances)["seen_share"] == pytest.approx(1.21 / 2.21)


def test_contact_area_of_a_sphere_over_a_plane():
    """A sphere whose lowest point is h above a plane: below distance d lies a cap of area 2πr(d − h)."""
    radius, gap, limit = 30.0, 8.0, 20.0
    sphere = sphere_mesh(radius, (50, 60, 70 + radius + gap))
    poly = pv.Plane(center=(50, 60, 70), direction=(0, 0, 1), i_size=300, j_size=300).triangulate()
    plane = SurfaceMesh(np.asarray(poly.points, float), np.asarray(poly.regular_faces, np.int64))
    settings = DistanceSettings(contact_distance_nm=limit)
    summary = distance_summary(sphere, surface_distance(sphere, plane), settings)
    assert summary["contact_area_nm2"] == pytest.approx(2 * np.pi * radius * (limit - gap), rel=0.003)
    assert summary["contact_mean_nm"] == pytest.approx((gap + limit) / 2, abs=0.3)  # uniform in height
    assert summary["min_nm"] == pytest.approx(gap, abs=0.05)
    assert summary["mean_nm"] == pytest.approx(gap + radius, rel=0.005)
    assert summary["q25_nm"] < summary["median_nm"] < summary["q75_nm"]


def test_contact_area_is_cut_along_the_line_and_not_counted_by_vertices():
    """A steep plate over a plane, whose vertices stand in rows along the line of contact, 4 nm apart."""
    poly = pv.Plane(center=(20, 10, 0), i_size=40, j_size=20, i_resolution=10, j_resolution=5).triangulate()
    points = np.asarray(poly.points, float) + np.asarray(poly.points)[:, :1] * [0, 0, 1] + [0, 0, 10]
    evidence = (points[:, 1] > 9).astype(np.uint8)  # 0: measured
    plate = SurfaceMesh(points, np.asarray(poly.regular_faces, np.int64), data={"evidence": evidence})
    poly = pv.Plane(center=(20, 10, 0), i_size=300, j_size=300).triangulate()
    plane = SurfaceMesh(np.asarray(poly.points, float), np.asarray(poly.regular_faces, np.int64))
    distances = surface_distance(plate, plane)
    summary = distance_summary(plate, distances, DistanceSettings(contact_distance_nm=25.9))
    assert summary["contact_area_nm2"] == pytest.approx(15.9 * np.sqrt(2) * 20)
    told = distance_evidence_columns(plate, distances.distance_nm, 25.9)
    assert told["contact_area_with_evidence_nm2"] == pytest.approx(15.9 * np.sqrt(2) * 10, rel=0.01)


def test_no_contact_has_no_contact_mean():
    summary = distance_summary(sphere_mesh(5.0), surface_distance(sphere_mesh(5.0), sphere_mesh(60.0)))
    assert summary["contact_area_nm2"] == 0
    assert np.isnan(summary["contact_mean_nm"])


def test_a_surface_without_triangles_is_refused():
    empty = SurfaceMesh(np.zeros((3, 3)), np.empty((0, 3), np.int64))
    with pytest.raises(InputError, match="no triangles"):
        surface_distance(sphere_mesh(5.0), empty)


def test_arrays_are_named_after_the_whole_name_of_their_target():
    plane = pv.Plane(i_size=60, j_size=60, i_resolution=12, j_resolution=12).triangulate()

    def at(z):
        return SurfaceMesh(
            np.array(plane.translate((0, 0, z)).points, float), np.asarray(plane.regular_faces)
        )

    paths = [Path(f"d/ts_01_13.48Apx_{name}.medial.vtp") for name in ("IMM", "ER")] + [Path("µ.2.ply")]
    heights = dict(zip(target_names(paths), (10.0, 25.0, 40.0), strict=True))
    mesh, summaries = with_distances(at(0), {name: at(z) for name, z in heights.items()})
    assert list(heights) == list(summaries) == ["ts_01_13.48Apx_IMM", "ts_01_13.48Apx_ER", "µ.2"]
    for name, z in heights.items():
        np.testing.assert_allclose(mesh.data[f"distance_to_{name}_nm"], z)
        assert summaries[name]["median_nm"] == pytest.approx(z)


def test_two_targets_of_one_name_are_refused():
    assert list(target_names([Path("a/OMM.medial.vtp"), Path("a/OMM.medial.vtp")])) == ["OMM"]
    with pytest.raises(InputError, match="both would be written as distance_to_OMM_nm"):
        target_names([Path("a/OMM.medial.vtp"), Path("b/OMM.medial.vtp")])
