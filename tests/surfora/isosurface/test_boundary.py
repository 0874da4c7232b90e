"""Isosurfaces of voxelised shapes: where they lie, what they keep open, and how they end."""

import edt
import numpy as np
import pytest
import shapes
from scipy.ndimage import label
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from surfora.geometry.surface import boundary_vertices, edges_and_counts, enclosed_volume_nm3, vertex_normals
from surfora.isosurface import fit, tiles
from surfora.isosurface.boundary import distance_field, isosurface
from surfora.isosurface.fit import adjacency, fit_height, fit_patches, gather_patch, neighbour_means
from surfora.isosurface.levelset import FREE, OBSTACLE, TUBE, curvature_flow, curvature_speed
from surfora.isosurface.settings import IsosurfaceSettings
from surfora.isosurface.tiles import marched, marched_boundary, near_distances
from tomocore.contract import InputError

pytestmark = pytest.mark.slow


def boundary_errors(shape, mesh, thickness, rim_margin):
    """Offset error (n,) in nm of vertices away from the rim, positive where too thick; which are outer."""
    distance = shape.signed_distance(mesh.vertices)
    away = shape.rim_distance(mesh.vertices) > rim_margin
    return (np.abs(distance) - thickness / 2)[away], (distance > 0)[away]


def test_distances_near_the_boundary_make_the_mesh_that_all_distances_make():
    random = np.random.default_rng(4)
    for share in (0.02, 0.3, 0.7):
        mask = random.random((17, 19, 23)) < share
        every = edt.edt(~mask) - edt.edt(mask)
        near = near_distances(mask)
        assert np.allclose(near, np.clip(every, -2.0, 2.0))
        for ours, theirs in zip(marched(near), marched(every), strict=True):
            assert np.array_equal(ours, theirs)


def in_order(vertices, faces):
    """The mesh with vertices by their place and triangles by their corners, the lowest first."""
    order = np.lexsort(np.rint(64 * vertices).T)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    turn = (rank[faces].argmin(axis=1)[:, None] + np.arange(3)) % 3
    faces = np.take_along_axis(rank[faces], turn, axis=1)
    return vertices[order], faces[np.lexsort(faces.T)]


@pytest.mark.parametrize("share", [0.02, 0.3, 0.7])
def test_tiles_make_the_mesh_that_the_whole_makes(monkeypatch, share):
    monkeypatch.setattr(tiles, "TILE", 5)
    mask = np.random.default_rng(5).random((17, 21, 11)) < share
    mask[:, 9:] &= share > 0.5  # tiles without any voxel
    ours, whole = in_order(*marched_boundary(mask)), in_order(*marched(near_distances(mask)))
    assert np.allclose(ours[0], whole[0], rtol=0, atol=2e-6)
    assert np.array_equal(ours[1], whole[1])


def test_a_mask_of_one_slice_is_refused():
    mask = np.zeros((1, 20, 20), bool)
    mask[0, 5:15, 5:15] = True
    with pytest.raises(InputError, match="single slice"):
        isosurface(mask, 1.0)


def part_count(mesh):
    edges, _ = edges_and_counts(mesh.faces)
    links = coo_array((np.ones(len(edges)), edges.T), shape=(len(mesh.vertices),) * 2)
    return connected_components(links, directed=False)[0]


@pytest.mark.parametrize(
    ("shape", "voxel", "thickness", "parts"),
    [
        (shapes.sphere(12.0), 1.0, 4.0, 2),
        (shapes.torus(17.0, 8.0), 0.8, 3.2, 2),
        (shapes.open_sphere(18.0), 1.3, 5.0, 1),
        (shapes.wavy_sheet(40.0, 3.0), 1.0, 2.0, 1),
        (shapes.invaginated_vesicle(), 1.0, 2.5, 2),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_boundary_is_unbiased_and_smooth(shape, voxel, thickness, parts):
    mask, origin = shape.voxelise(voxel, thickness)
    mesh = isosurface(mask, voxel, origin)
    error, outer = boundary_errors(shape, mesh, thickness, rim_margin=thickness / 2 + 4 * voxel)
    for leaflet in (outer, ~outer):
        assert abs(error[leaflet].mean()) < 0.03 * voxel
        assert error[leaflet].std() < 0.065 * voxel
    assert part_count(mesh) == parts
    assert mesh.is_closed
    assert edges_and_counts(mesh.faces)[1].max() == 2


def test_normals_and_winding_point_out_of_the_mask():
    shape = shapes.open_sphere(18.0)
    mask, origin = shape.voxelise(1.0, 4.0)
    mesh = isosurface(mask, 1.0, origin)
    away = shape.rim_distance(mesh.vertices) > 5.0
    side = np.where(shape.signed_distance(mesh.vertices) > 0, 1.0, -1.0)
    cosine = np.einsum("ij,ij->i", mesh.normals, shape.normals(mesh.vertices)) * side
    assert np.percentile(np.degrees(np.arccos(np.clip(cosine[away], -1, 1))), 99) < 5
    agree = np.einsum("ij,ij->i", mesh.normals, vertex_normals(mesh.vertices, mesh.faces))
    assert (agree > 0).mean() > 0.999
    assert enclosed_volume_nm3(mesh.vertices, mesh.faces) == pytest.approx(mask.sum(), rel=0.03)


def test_published_obstacle_thins_and_the_default_does_not():
    shape = shapes.sphere(14.0)
    mask, origin = shape.voxelise(1.0, 4.0)
    bias = {}
    for scheme in ("published", "surface"):
        settings = IsosurfaceSettings(scheme=scheme, flow_steps=20)
        error, outer = boundary_errors(shape, isosurface(mask, 1.0, origin, settings), 4.0, 0.0)
        bias[scheme] = error[outer].mean()
    assert bias["published"] < -0.3
    assert abs(bias["surface"]) < 0.03


@pytest.mark.parametrize("seed", [21, 22, 23, 24])
@pytest.mark.parametrize("thickness", [2.0, 4.0])
def test_gap_of_one_voxel_is_never_bridged(thickness, seed):
    shape = shapes.apposed_sheets(thickness + 1.0, width_nm=24.0, seed=seed)
    mask, origin = shape.voxelise(1.0, thickness)
    mesh = isosurface(mask, 1.0, origin)
    assert part_count(mesh) == 2
    error, _ = boundary_errors(shape, mesh, thickness, rim_margin=thickness / 2 + 4)
    assert abs(error.mean()) < 0.05
    assert np.abs(error).max() < 0.35


def test_gaussian_closes_the_gap_that_the_default_keeps():
    shape = shapes.apposed_sheets(4.0, width_nm=24.0, seed=21)
    mask, _ = shape.voxelise(1.0, 3.0)
    blurred = IsosurfaceSettings(scheme="tube", gaussian_voxels=1.5, tube_voxels=2.0, flow_steps=0)
    assert label(distance_field(mask, blurred) < 0)[1] == 1
    assert label(distance_field(mask, IsosurfaceSettings()) < 0)[1] == 2


def test_membrane_cut_by_the_volume_stays_open_there():
    shape = shapes.sphere(15.0, seed=None)
    mask, origin = shape.voxelise(1.0, 4.0)
    cut = mask[:, :, 12:-9]
    mesh = isosurface(cut, 1.0, (origin[0] + 12, origin[1], origin[2]))
    rim = mesh.vertices[boundary_vertices(mesh.faces, len(mesh.vertices))]
    low, high = origin[0] + 12, origin[0] + 12 + cut.shape[2] - 1
    at_low, at_high = np.isclose(rim[:, 0], low), np.isclose(rim[:, 0], high)
    assert (at_low | at_high).all()
    assert at_low.any()
    assert at_high.any()
    error = np.abs(shape.signed_distance(mesh.vertices)) - 2.0
    assert abs(error.mean()) < 0.03


def test_supersampling_leaves_the_boundary_in_its_place():
    shape = shapes.sphere(10.0)
    mask, origin = shape.voxelise(1.0, 4.0)
    settings = IsosurfaceSettings(scheme="tube", supersampling=2, gaussian_voxels=0.5, flow_steps=0)
    error, outer = boundary_errors(shape, isosurface(mask, 1.0, origin, settings), 4.0, 0.0)
    assert abs(error[outer].mean()) < 0.15
    assert abs(error[~outer].mean()) < 0.15


def test_specks_are_dropped_and_bend_is_the_curvature():
    shape = shapes.sphere(12.0)
    mask, origin = shape.voxelise(1.0, 24.0)  # a ball of radius 24, solid to its centre
    mask[1, 1, 1] = True
    mesh = isosurface(mask, 1.0, origin)
    assert part_count(mesh) == 1
    assert np.median(mesh.data["bend_per_nm"]) == pytest.approx(1 / 24, rel=0.15)


def test_rough_mask_is_smoothed_within_its_noise():
    shape = shapes.open_sphere(18.0)
    mask, origin = shape.voxelise(1.0, 4.0)
    mesh = isosurface(shapes.with_noise(mask, fraction=0.2), 1.0, origin)
    error, outer = boundary_errors(shape, mesh, 4.0, rim_margin=6.0)
    assert abs(error[outer].mean()) < 0.05
    assert error.std() < 0.16


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.zeros((8, 8, 8), bool), "empty"),
        (np.ones((8, 8, 8), bool), "fills"),
        (np.pad(np.ones((1, 1, 1), bool), 4), "smallest_part_nm2"),
    ],
)
def test_masks_without_a_surface_are_refused(mask, message):
    with pytest.raises(InputError, match=message):
        isosurface(mask, 1.0)


def ball_field(radius, width=25):
    axis = np.arange(width) - width // 2
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    return (np.sqrt(x**2 + y**2 + z**2) - radius).astype(np.float32)


def test_curvature_speed_of_a_sphere_is_twice_its_curvature():
    field = ball_field(8.0)
    assert curvature_speed(field, 12, 12, 20) == pytest.approx(2 / 8, rel=0.02)
    assert curvature_speed(field, 17, 16, 17) == pytest.approx(2 / np.sqrt(66), rel=0.02)
    assert curvature_speed(field, 12, 12, 12) == 0.0


def test_flow_shrinks_a_ball_at_the_known_rate_and_obeys_its_constraint():
    field = ball_field(8.0)
    time = 16 * 0.125
    free = curvature_flow(field, field, 16, FREE)
    assert free[12, 12, 20] == pytest.approx(8 - np.sqrt(64 - 4 * time), rel=0.07)
    held = curvature_flow(field, field, 60, TUBE, 0.3)
    assert np.abs(held - field).max() <= 0.3 + 1e-6
    never_grown = curvature_flow(-field, -field, 16, OBSTACLE)
    assert (never_grown >= -field).all()
    assert np.allclose(never_grown[12, 12, 20], 0.0, atol=1e-6)


def test_fits_leave_a_paraboloid_where_it_is_and_know_its_normal_and_bend():
    x, y = np.meshgrid(np.arange(-10, 10.1, 0.8), np.arange(-10, 10.1, 0.8))
    vertices = np.column_stack([x.ravel(), y.ravel(), (0.02 * x**2 - 0.01 * y**2 + 0.1 * x).ravel()])
    width = x.shape[1]
    corner = (np.arange(width - 1)[:, None] * width + np.arange(width - 1)).ravel()
    faces = np.column_stack([corner, corner + 1, corner + width + 1])
    faces = np.concatenate([faces, np.column_stack([corner, corner + width + 1, corner + width])])
    up = np.tile([0.0, 0, 1], (len(vertices), 1))
    fits = fit_patches(vertices, up, *adjacency(faces, len(vertices)), 4.0, 0.5)
    middle = np.argmin(np.abs(vertices[:, :2]).sum(axis=1))
    assert np.nanmax(np.abs(fits.height)) < 1e-9
    at_x, at_y, _ = vertices[middle]
    slope = np.array([-0.1 - 0.04 * at_x, 0.02 * at_y, 1.0])
    slope /= np.linalg.norm(slope)
    assert np.allclose(fits.normals[middle], slope, atol=1e-9)
    assert fits.bend[middle] == pytest.approx(0.04, rel=0.02)


def test_fit_and_patch_equal_their_slow_twins():
    shape = shapes.sphere(8.0)
    vertices, faces = shape.mesh(1.0)
    vertices = vertices + np.random.default_rng(0).normal(0, 0.1, vertices.shape)
    normals = shape.normals(vertices)
    start, neighbour = adjacency(faces, len(vertices))
    seen, patch = np.full(len(vertices), -1), np.empty(len(vertices), np.int64)
    size = gather_patch(vertices, normals, start, neighbour, 3.0, 0.2, 5, seen, patch)
    near = np.linalg.norm(vertices - vertices[5], axis=1) < 3.0
    assert set(patch[:size]) == set(np.flatnonzero(near & (normals @ normals[5] >= 0.2)))

    system, right = np.empty((7, 6)), np.empty(6)
    fit_height(vertices, normals[5], patch[:size], 3.0, system, right)
    lower = np.tril(system[:6])
    found = np.linalg.solve(lower + np.tril(lower, -1).T, right)
    step = (vertices[patch[:size]] - vertices[5]) / 3.0
    u, v = np.linalg.svd(normals[5][None])[2][1:]
    x, y = step @ u, step @ v
    weight = np.maximum(0, 1 - x**2 - y**2)
    rows = np.column_stack([np.ones(size), x, y, x * x, x * y, y * y])
    slow = np.linalg.lstsq(rows * weight[:, None], step @ normals[5] * weight, rcond=None)[0]
    assert found[0] == pytest.approx(slow[0])
    assert found[3] + found[5] == pytest.approx(slow[3] + slow[5])  # the same in any tangent frame


def test_neighbour_means_of_a_tetrahedron():
    faces = np.array([[0, 1, 2], [0, 3, 1], [0, 2, 3], [1, 3, 2]])
    start, neighbour = adjacency(faces, 4)
    assert np.array_equal(np.diff(start), [3, 3, 3, 3])
    assert np.allclose(neighbour_means(np.arange(4.0)[:, None], start, neighbour)[:, 0], [2, 5 / 3, 4 / 3, 1])


def test_progress_rises_to_its_total_and_a_round_of_fits_can_be_ended(monkeypatch):
    monkeypatch.setattr(fit, "PORTION", 200)
    mask, origin = shapes.sphere(8.0).voxelise(1.0, 3.0)
    seen = []

    def progress(done, total):
        seen.append(done / total)
        if len(seen) == ended_at:
            raise KeyboardInterrupt

    ended_at = 0
    isosurface(mask, 1.0, origin, progress=progress)
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    assert len(seen) > 10
    ended_at = len(seen) // 2
    seen.clear()
    with pytest.raises(KeyboardInterrupt):
        isosurface(mask, 1.0, origin, progress=progress)
    assert seen[-1] < 0.9
