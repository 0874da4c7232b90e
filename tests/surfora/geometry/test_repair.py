"""Meshes of other programs: whatever is wrong with a sphere's file, the sphere comes back, or a reason."""

import numpy as np
import pytest
import pyvista as pv

from surfora.geometry.files import read_mesh, read_points, read_surface
from surfora.geometry.pieces import component_count
from surfora.geometry.repair import Told, equal_points, is_sound, repaired_mesh, repaired_points
from surfora.geometry.surface import (
    PointCloud,
    SurfaceMesh,
    boundary_edges,
    edges_and_counts,
    enclosed_volume_nm3,
    face_areas_nm2,
    vertex_normals,
)
from tomocore.contract import InputError

RADIUS_NM = 20.0
CENTRE_NM = np.array([70.0, -30.0, 55.0])


@pytest.fixture(scope="module")
def sphere():
    """A closed sphere wound outward, off the origin."""
    poly = pv.Icosphere(radius=RADIUS_NM, nsub=2)
    return SurfaceMesh(np.asarray(poly.points, float) + CENTRE_NM, np.asarray(poly.regular_faces, np.int64))


def parted(mesh):
    """Every triangle with vertices of its own."""
    return SurfaceMesh(mesh.vertices[mesh.faces.ravel()], np.arange(mesh.faces.size).reshape(-1, 3))


def outward_share(mesh):
    along = np.einsum("ij,ij->i", vertex_normals(mesh.vertices, mesh.faces), mesh.vertices - CENTRE_NM)
    return (along > 0).mean()


def as_the_sphere(mesh, sphere):
    assert mesh.is_closed
    assert (len(mesh.vertices), len(mesh.faces)) == (len(sphere.vertices), len(sphere.faces))
    assert component_count(mesh.faces, len(mesh.vertices)) == 1
    volume = enclosed_volume_nm3(sphere.vertices, sphere.faces)
    assert enclosed_volume_nm3(mesh.vertices, mesh.faces) == pytest.approx(volume, rel=1e-5)
    assert outward_share(mesh) == 1


def test_a_sound_mesh_comes_back_as_it_is(sphere):
    told = Told()
    mesh = repaired_mesh(sphere, told)
    assert told.sentences == []
    np.testing.assert_array_equal(mesh.vertices, sphere.vertices)
    np.testing.assert_array_equal(mesh.faces, sphere.faces)


def test_the_quick_look_finds_what_a_repair_would_change(sphere):
    normals = vertex_normals(sphere.vertices, sphere.faces)
    sound = SurfaceMesh(sphere.vertices, sphere.faces, normals)
    assert is_sound(sound)
    flipped = sphere.faces.copy()
    flipped[3] = flipped[3, ::-1]
    spare = np.concatenate([sphere.vertices, [[0.0, 0, 0]]]), np.concatenate([normals, [[1.0, 0, 0]]])
    apart = parted(sphere)
    for wrong in (
        SurfaceMesh(sphere.vertices, sphere.faces),
        SurfaceMesh(sphere.vertices, sphere.faces, -normals),
        SurfaceMesh(sphere.vertices, sphere.faces, 2 * normals),
        SurfaceMesh(sphere.vertices, flipped, normals),
        SurfaceMesh(sphere.vertices, np.concatenate([sphere.faces, sphere.faces[:1]]), normals),
        SurfaceMesh(spare[0], sphere.faces, spare[1]),
        SurfaceMesh(apart.vertices, apart.faces, normals[sphere.faces.ravel()]),
    ):
        assert not is_sound(wrong)


def test_vertices_that_meshing_split_on_purpose_stay_apart(sphere):
    """Two spheres that touch: a vertex there stands twice, as our files have it."""
    normals = vertex_normals(sphere.vertices, sphere.faces)
    count = len(sphere.vertices)
    shift = np.array([2 * np.ptp(sphere.vertices[:, 0]), 0.0, 0.0])
    vertices = np.concatenate([sphere.vertices, sphere.vertices + shift])
    vertices[count:] += vertices[0] - vertices[count + 1]
    vertices[count + 1] = vertices[0]
    faces = np.concatenate([sphere.faces, sphere.faces + count])
    touching = SurfaceMesh(vertices, faces, np.concatenate([normals, normals]))
    assert len(equal_points(touching.vertices)[0]) < 2 * count
    assert is_sound(touching)


@pytest.mark.parametrize("rounding_nm", [0.0, 1e-5])
def test_vertices_in_one_place_are_merged(sphere, rounding_nm):
    told = Told()
    apart = parted(sphere)
    moved = apart.vertices + rounding_nm * np.random.default_rng(0).uniform(-1, 1, apart.vertices.shape)
    as_the_sphere(repaired_mesh(SurfaceMesh(moved, apart.faces), told), sphere)
    assert "merged" in told.sentences[0]


def test_data_of_merged_points_that_differ_are_averaged_and_told(sphere):
    told, apart = Told(), parted(sphere)
    height = apart.vertices[:, 2]
    corner = np.arange(apart.faces.size) % 3
    mesh = repaired_mesh(apart.with_data(height_nm=height, corner=corner, half=corner / 2), told)
    np.testing.assert_allclose(mesh.data["height_nm"], mesh.vertices[:, 2])
    assert mesh.data["corner"].dtype == corner.dtype
    assert "averaged there" in told.sentences[1]
    assert "half" in told.sentences[1]
    assert "height_nm" not in told.sentences[1]


@pytest.mark.parametrize("how", ["at random", "all inward"])
def test_a_closed_mesh_without_normals_winds_outward(sphere, how):
    turned = np.random.default_rng(1).random(len(sphere.faces)) < (0.4 if how == "at random" else 2)
    faces = np.where(turned[:, None], sphere.faces[:, ::-1], sphere.faces)
    told = Told()
    as_the_sphere(repaired_mesh(SurfaceMesh(sphere.vertices, faces), told), sphere)
    assert "turned over" in told.sentences[0]


@pytest.mark.parametrize("length", [1.0, 137.0, 1e-3])
@pytest.mark.parametrize("side", [1, -1])
def test_given_normals_of_any_length_decide_the_side(sphere, length, side):
    normals = side * length * vertex_normals(sphere.vertices, sphere.faces)
    mesh = repaired_mesh(SurfaceMesh(sphere.vertices, sphere.faces, normals), Told())
    np.testing.assert_allclose(mesh.normals, normals / length, atol=1e-12)
    assert outward_share(mesh) == (side > 0)


def test_normals_of_no_length_are_made_anew(sphere):
    normals = 3 * vertex_normals(sphere.vertices, sphere.faces)
    normals[3], normals[5], normals[7] = 0, np.nan, -normals[7]
    told = Told()
    mesh = repaired_mesh(SurfaceMesh(sphere.vertices, sphere.faces, normals), told)
    np.testing.assert_allclose(mesh.normals, vertex_normals(sphere.vertices, sphere.faces), atol=1e-12)
    assert told.sentences == ["3 normals made anew from the triangles"]


def test_normals_at_random_are_set_aside(sphere):
    normals = np.random.default_rng(2).normal(size=sphere.vertices.shape)
    told = Told()
    mesh = repaired_mesh(SurfaceMesh(sphere.vertices, sphere.faces, normals), told)
    assert "both sides" in told.sentences[0]
    np.testing.assert_allclose(mesh.normals, vertex_normals(sphere.vertices, sphere.faces), atol=1e-12)


def test_normals_far_off_the_triangles_are_made_anew(sphere):
    """A mesh that was turned without its normals; smoothed ones, which stand a little off, stay."""
    own = vertex_normals(sphere.vertices, sphere.faces)
    leaning = own + 0.9 * np.roll(own, 1, axis=1)
    turned = SurfaceMesh(sphere.vertices, sphere.faces, np.where(own[:, :1] > -0.5, leaning, own))
    told = Told()
    np.testing.assert_allclose(repaired_mesh(turned, told).normals, own)
    assert f"{len(own)} normals made anew from the triangles" in told.sentences
    smoothed = own + np.array([0.1, 0.0, 0.0])
    smoothed /= np.linalg.norm(smoothed, axis=1, keepdims=True)
    kept = repaired_mesh(SurfaceMesh(sphere.vertices, sphere.faces, smoothed), Told())
    np.testing.assert_array_equal(kept.normals, smoothed)


def test_triangles_given_twice_or_without_area_are_left_out(sphere):
    back = sphere.faces[:, ::-1]  # both sides of each, as programs for rendering write them
    flat = sphere.faces[:4][:, [0, 1, 1]]
    told = Told()
    as_the_sphere(
        repaired_mesh(SurfaceMesh(sphere.vertices, np.concatenate([sphere.faces, back, flat])), told), sphere
    )
    assert told.sentences[0] == "4 triangles without area left out"
    assert told.sentences[1] == f"{len(back)} triangles that were there twice left out"


def test_edges_of_three_triangles_are_cut_open():
    """Three half planes of 2 × 1 that meet along one line: the areas stay, and each is a sheet of its own."""
    rows = [np.array([[x, 0, 0] for x in (0.0, 1, 2)])]
    faces = []
    for turn in (0.0, 2.0, 4.0):
        start = sum(map(len, rows))
        rows.append(np.array([[x, np.cos(turn), np.sin(turn)] for x in (0.0, 1, 2)]))
        for x in (0, 1):
            faces += [[x, x + 1, start + x], [x + 1, start + x + 1, start + x]]
    mesh = SurfaceMesh(np.concatenate(rows), np.array(faces))
    told = Told()
    cut = repaired_mesh(mesh.with_data(x=mesh.vertices[:, 0]), told)
    assert told.sentences == ["2 edges shared by three or more triangles, where it was cut open"]
    assert edges_and_counts(cut.faces)[1].max() == 2
    assert component_count(cut.faces, len(cut.vertices)) == 3
    assert face_areas_nm2(cut.vertices, cut.faces).sum() == pytest.approx(6)
    np.testing.assert_array_equal(cut.data["x"], cut.vertices[:, 0])


def test_a_moebius_band_has_no_sides():
    faces, places = [], []
    for at in range(40):
        turn = 2 * np.pi * at / 40
        for b in (-1.0, 1.0):
            r = 10 + b * np.cos(turn / 2)
            places.append([r * np.cos(turn), r * np.sin(turn), b * np.sin(turn / 2)])
        a, b = 2 * at, 2 * at + 1
        c, d = (a + 2, b + 2) if at < 39 else (1, 0)
        faces += [[a, b, c], [b, d, c]]
    with pytest.raises(InputError, match="Möbius"):
        repaired_mesh(SurfaceMesh(np.array(places), np.array(faces)), Told())


def test_points_that_are_not_numbers_matter_only_where_used(sphere):
    spare = SurfaceMesh(np.concatenate([sphere.vertices, [[np.nan, 0, 0]]]), sphere.faces)
    told = Told()
    as_the_sphere(repaired_mesh(spare, told), sphere)
    assert told.sentences == ["1 points that no triangle uses left out"]
    broken = sphere.vertices.copy()
    broken[5, 1] = np.inf
    with pytest.raises(InputError, match="not numbers"):
        repaired_mesh(SurfaceMesh(broken, sphere.faces), Told())


def test_coincident_points_are_kept_once_in_their_order():
    places = np.array([[3.0, 0, 0], [1, 0, 0], [3, 0, 0], [2, 0, 0]])
    normals = np.array([[0, 0, 5.0], [0, 0, 0], [1, 0, 0], [0, 2, 0]])
    told = Told()
    cloud = repaired_points(PointCloud(places, normals, {"ID": np.arange(4)}), told)
    np.testing.assert_array_equal(cloud.points[:, 0], [3, 1, 2])
    np.testing.assert_array_equal(cloud.normals, [[0, 0, 1], [np.nan] * 3, [0, 1, 0]])
    np.testing.assert_array_equal(cloud.data["ID"], [0, 1, 3])
    assert len(told.sentences) == 2
    first, group = equal_points(places)
    np.testing.assert_array_equal(places[first][group], places)


@pytest.mark.parametrize("ending", ["vtp", "vtk"])
def test_strips_polygons_lines_and_lone_points(tmp_path, sphere, ending, caplog):
    poly = pv.PolyData.from_regular_faces(sphere.vertices, sphere.faces)
    poly.strip().save(tmp_path / f"strips.{ending}")
    as_the_sphere(read_mesh(tmp_path / f"strips.{ending}"), sphere)
    square = pv.PolyData(
        np.array([[0, 0, 0], [8, 0, 0], [8, 4, 0], [0, 4, 0], [4, 8, 0], [9, 9, 9.0]]),
        faces=[4, 0, 1, 2, 3, 3, 3, 2, 4],
        lines=[2, 0, 5],
        verts=[1, 5],
    )
    square.save(tmp_path / f"mixed.{ending}")
    mesh = read_mesh(tmp_path / f"mixed.{ending}")
    assert face_areas_nm2(mesh.vertices, mesh.faces).sum() == pytest.approx(32 + 16)
    assert len(mesh.vertices) == 5
    assert len(boundary_edges(mesh.faces)) == 5
    assert "1 lines left out" in caplog.text
    assert "1 lone points left out" in caplog.text


@pytest.mark.parametrize("ending", ["vtk", "vtu"])
def test_surfaces_in_unstructured_grids(tmp_path, sphere, ending, caplog):
    grid = pv.PolyData.from_regular_faces(sphere.vertices, sphere.faces).cast_to_unstructured_grid()
    grid.save(tmp_path / f"a.{ending}")
    as_the_sphere(read_mesh(tmp_path / f"a.{ending}"), sphere)
    pv.ImageData(dimensions=(3, 3, 3)).cast_to_unstructured_grid().save(tmp_path / f"solid.{ending}")
    mesh = read_mesh(tmp_path / f"solid.{ending}")
    assert face_areas_nm2(mesh.vertices, mesh.faces).sum() == pytest.approx(6 * 4)
    assert "8 cells with a volume" in caplog.text
    pv.ImageData(dimensions=(3, 3, 3)).save(tmp_path / "grid.vtk")
    with pytest.raises(InputError, match="no surface"):
        read_surface(tmp_path / "grid.vtk")


def test_numbers_of_triangles_are_carried_to_their_corners(tmp_path, sphere, caplog):
    poly = pv.PolyData.from_regular_faces(sphere.vertices, sphere.faces)
    poly.cell_data["area"] = np.full(len(sphere.faces), 2.5)
    poly.cell_data["normal"] = poly.compute_normals(cell_normals=True)["Normals"][: len(sphere.faces)]
    poly.save(tmp_path / "cells.vtp")
    mesh = read_mesh(tmp_path / "cells.vtp")
    np.testing.assert_allclose(mesh.data["area"], 2.5)
    assert mesh.data["normal"].shape == mesh.vertices.shape
    assert "2 arrays of triangles averaged onto their corners (area, normal)" in caplog.text


@pytest.mark.parametrize(("unit", "factor"), [(None, 1), ("angstrom", 0.1), ("um", 1000), ("voxel", 1.3)])
def test_units_of_other_programs(tmp_path, sphere, unit, factor, caplog):
    pv.PolyData.from_regular_faces(sphere.vertices, sphere.faces).save(tmp_path / "a.stl")
    mesh = read_mesh(tmp_path / "a.stl", unit, 1.3)
    assert np.ptp(mesh.vertices[:, 0]) == pytest.approx(2 * RADIUS_NM * factor, rel=0.01)
    assert ("nm across" in caplog.text) == (unit == "um")
    if unit == "voxel":
        with pytest.raises(InputError, match="--voxel-size"):
            read_points(tmp_path / "a.stl", unit)
