"""Leaflets of closed and open membranes: on the right side, whole, of the right area and thickness."""

import numpy as np
import pytest
import shapes

from surfora.geometry.surface import (
    SurfaceMesh,
    boundary_vertices,
    edges_and_counts,
    enclosed_volume_nm3,
    face_areas_nm2,
    vertex_normals,
)
from surfora.isosurface.boundary import isosurface
from surfora.leaflets.proxy import membrane_numbers, poisson_proxy
from surfora.leaflets.settings import LeafletSettings
from surfora.leaflets.split import heights_over, split_leaflets
from tomocore.contract import InputError


def medial(shape, edge=1.3):
    vertices, faces = shape.mesh(edge)
    return SurfaceMesh(vertices, faces, shape.normals(vertices))


def split(shape, thickness, proxied=True, voxel=1.0):
    mask, origin = shape.voxelise(voxel, thickness)
    middle = medial(shape)
    proxy = poisson_proxy(middle) if proxied else None
    return split_leaflets(isosurface(mask, voxel, origin), middle, proxy)


def share_on_side(shape, leaflet, side, rim_margin):
    centres = leaflet.vertices[leaflet.faces].mean(axis=1)
    away = shape.rim_distance(centres) > rim_margin
    areas = face_areas_nm2(leaflet.vertices, leaflet.faces) * away
    return (areas * (side * shape.signed_distance(centres) > 0)).sum() / areas.sum()


@pytest.mark.parametrize("proxied", [True, False], ids=["proxy", "medial"])
@pytest.mark.parametrize(
    ("shape", "thickness"),
    [
        (shapes.sphere(10.0), 4.0),
        (shapes.invaginated_vesicle(20.0, 7.0, 3.0, 4.0), 2.5),
        (shapes.open_sphere(16.0), 4.0),
        (shapes.open_cylinder(10.0, 25.0), 3.0),
        (shapes.wavy_sheet(40.0), 4.0),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_one_leaflet_on_each_side(shape, thickness, proxied):
    leaflets = split(shape, thickness, proxied)
    for leaflet, side in ((leaflets.inner, -1), (leaflets.outer, 1)):
        assert share_on_side(shape, leaflet, side, rim_margin=0.5) >= 0.999
        assert membrane_numbers(leaflet).max() == 0
        assert edges_and_counts(leaflet.faces)[1].max() == 2
        through = leaflet.data["bilayer_thickness_nm"]
        assert np.nanmedian(through) == pytest.approx(thickness, abs=0.06)
        assert np.nanstd(through) < 0.15
        assert np.isfinite(through).mean() > (0.99 if shape.is_closed else 0.4)


def test_both_leaflets_keep_the_sense_of_the_membrane():
    shape = shapes.open_sphere(16.0)
    leaflets = split(shape, 4.0)
    for leaflet in (leaflets.inner, leaflets.outer):
        outward = shape.normals(leaflet.vertices)
        assert (np.einsum("ij,ij->i", leaflet.normals, outward) > 0).mean() > 0.99
        wound = vertex_normals(leaflet.vertices, leaflet.faces)
        assert (np.einsum("ij,ij->i", wound, outward) > 0).mean() > 0.99
    closed = split(shapes.sphere(10.0), 4.0)
    for leaflet, radius in ((closed.inner, 8.0), (closed.outer, 12.0)):
        volume = enclosed_volume_nm3(leaflet.vertices, leaflet.faces)
        assert volume == pytest.approx(4 / 3 * np.pi * radius**3, rel=0.02)


@pytest.mark.parametrize(("rim_height", "strip_nm"), [(0.5, (-0.4, 0.4)), (0.85, (0.3, 1.6))])
def test_open_leaflets_end_before_the_edge_of_the_mask_rounds(rim_height, strip_nm):
    radius, thickness, cap = 16.0, 4.0, np.deg2rad(40.0)
    shape = shapes.open_sphere(radius, 40.0)
    mask, origin = shape.voxelise(1.0, thickness)
    settings = LeafletSettings(rim_height=rim_height)
    leaflets = split_leaflets(isosurface(mask, 1.0, origin), medial(shape), None, settings)
    for leaflet, own in ((leaflets.inner, radius - thickness / 2), (leaflets.outer, radius + thickness / 2)):
        area = face_areas_nm2(leaflet.vertices, leaflet.faces).sum()
        missing = 4 * np.pi * own**2 * np.cos(cap) - area
        assert strip_nm[0] < missing / (4 * np.pi * own * np.sin(cap)) < strip_nm[1]


def test_a_slanted_edge_is_no_leaflet():
    shape = shapes.open_sphere(16.0)
    mask, origin = shape.voxelise(1.0, 4.0, slanted_rim=True)
    surface, middle = isosurface(mask, 1.0, origin), medial(shape)
    leaflets = split_leaflets(surface, middle)
    off = shape.signed_distance(leaflets.outer.vertices) - 2.0
    assert np.quantile(off, 0.01) > -0.6
    kept = split_leaflets(surface, middle, None, LeafletSettings(rim_height=0.0))
    assert np.quantile(shape.signed_distance(kept.outer.vertices) - 2.0, 0.01) < -1.0


def test_scraps_left_by_the_cut_are_dropped():
    shape = shapes.open_sphere(14.0)
    mask, origin = shape.voxelise(1.0, 4.0)
    middle = medial(shape)
    surface = isosurface(shapes.with_noise(mask, 1, 0.25), 1.0, origin)
    leaflets = split_leaflets(surface, middle)
    for leaflet in (leaflets.inner, leaflets.outer):
        piece = membrane_numbers(leaflet)[leaflet.faces[:, 0]]
        areas = np.bincount(piece, face_areas_nm2(leaflet.vertices, leaflet.faces))
        assert areas.min() >= LeafletSettings().smallest_piece_nm2


def test_turning_the_medial_normals_swaps_the_leaflets():
    shape = shapes.open_sphere(14.0)
    mask, origin = shape.voxelise(1.0, 4.0)
    surface, middle = isosurface(mask, 1.0, origin), medial(shape)
    turned = SurfaceMesh(middle.vertices, middle.faces[:, ::-1], -middle.normals)
    straight, swapped = split_leaflets(surface, middle), split_leaflets(surface, turned)
    for one, other in ((straight.inner, swapped.outer), (straight.outer, swapped.inner)):
        areas = [face_areas_nm2(mesh.vertices, mesh.faces).sum() for mesh in (one, other)]
        assert areas[0] == pytest.approx(areas[1], rel=1e-3)


def test_two_membranes_in_one_mask_one_voxel_apart():
    shape = shapes.apposed_sheets(4.0, width_nm=30.0)
    leaflets = split(shape, 3.0)
    for leaflet, side in ((leaflets.inner, -1), (leaflets.outer, 1)):
        assert set(leaflet.data["membrane"]) == {0, 1}
        assert share_on_side(shape, leaflet, side, rim_margin=1.0) >= 0.999
        assert np.nanmedian(leaflet.data["bilayer_thickness_nm"]) == pytest.approx(3.0, abs=0.1)


def test_membrane_cut_by_the_volume_has_both_leaflets_open():
    shape = shapes.sphere(14.0, seed=None)
    mask, origin = shape.voxelise(1.0, 4.0)
    surface = isosurface(mask[:, :, 15:], 1.0, (origin[0] + 15, origin[1], origin[2]))
    whole = medial(shape)
    kept = (whole.vertices[whole.faces][:, :, 0] > origin[0] + 15).all(axis=1)
    leaflets = split_leaflets(surface, whole.with_faces(whole.faces[kept]))
    for leaflet, side in ((leaflets.inner, -1), (leaflets.outer, 1)):
        assert share_on_side(shape, leaflet, side, rim_margin=0.0) >= 0.999
        rim = leaflet.vertices[boundary_vertices(leaflet.faces, len(leaflet.vertices))]
        assert np.abs(rim[:, 0] - origin[0] - 15).max() < 1.0


def test_the_order_of_the_vertices_does_not_matter(monkeypatch):
    monkeypatch.setattr("surfora.leaflets.split.MOST_INLAND", 100)
    shape = shapes.open_sphere(16.0)
    mask, origin = shape.voxelise(1.0, 4.0)
    boundary, middle = isosurface(mask, 1.0, origin), medial(shape)
    order = np.random.default_rng(3).permutation(len(boundary.vertices))
    mixed = SurfaceMesh(boundary.vertices[order], np.argsort(order)[boundary.faces], boundary.normals[order])
    areas = [
        face_areas_nm2(leaflet.vertices, leaflet.faces).sum()
        for leaflets in (split_leaflets(boundary, middle), split_leaflets(mixed, middle))
        for leaflet in (leaflets.inner, leaflets.outer)
    ]
    assert areas[:2] == pytest.approx(areas[2:], rel=1e-9)


def test_rim_is_kept_on_request():
    shape = shapes.open_sphere(14.0)
    mask, origin = shape.voxelise(1.0, 4.0)
    surface, middle = isosurface(mask, 1.0, origin), medial(shape)
    kept = split_leaflets(surface, middle, None, LeafletSettings(rim_angle_deg=180.0))
    total = sum(face_areas_nm2(mesh.vertices, mesh.faces).sum() for mesh in (kept.inner, kept.outer))
    assert total == pytest.approx(face_areas_nm2(surface.vertices, surface.faces).sum(), rel=1e-6)
    rims = [
        mesh.vertices[boundary_vertices(mesh.faces, len(mesh.vertices))] for mesh in (kept.inner, kept.outer)
    ]
    assert np.abs(heights_over(rims[0], middle)[0]).max() < 0.1
    assert np.allclose(np.sort(rims[0], axis=0), np.sort(rims[1], axis=0))


def test_a_stray_patch_goes_to_the_leaflet_round_it():
    shape = shapes.open_sphere(14.0)
    mask, origin = shape.voxelise(1.0, 4.0)
    surface, middle = isosurface(mask, 1.0, origin), medial(shape)
    bulge = middle.vertices.copy()
    pole = np.argmax(shape.rim_distance(bulge))
    near = np.linalg.norm(bulge - bulge[pole], axis=1) < 4
    bulge[near] += 3.0 * middle.normals[near]  # the middle leaves the membrane in one place
    leaflets = split_leaflets(surface, SurfaceMesh(bulge, middle.faces, middle.normals))
    assert share_on_side(shape, leaflets.inner, -1, 1.0) >= 0.999
    assert share_on_side(shape, leaflets.outer, 1, 1.0) >= 0.999


def test_heights_are_signed_distances():
    shape = shapes.open_sphere(14.0)
    points, normals = shape.sample(count=200, seed=1)
    away = shape.rim_distance(points) > 3
    lifted = points + np.linspace(-3, 3, 200)[:, None] * normals
    heights, directions = heights_over(lifted[away], medial(shape, 0.8))
    assert np.allclose(heights, np.linspace(-3, 3, 200)[away], atol=0.03)
    assert (np.einsum("ij,ij->i", directions, normals[away]) > 0.99).all()


def test_meshes_without_triangles_are_refused():
    empty = SurfaceMesh(np.zeros((4, 3)), np.empty((0, 3), np.int64))
    with pytest.raises(InputError, match="triangles"):
        split_leaflets(empty, empty)
