"""Ball pivoting: closed forms, slow twins, and what a membrane's cloud throws at it."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import shapes

from surfora.geometry.sampling import poisson_disc
from surfora.geometry.surface import (
    PointCloud,
    boundary_edges,
    edges_and_counts,
    face_areas_nm2,
    face_cross_products,
)
from surfora.meshing.ballpivot import ball_pivot, estimate_spacing_nm, mesh_points, sheet_neighbours
from surfora.meshing.loops import boundary_loops
from surfora.meshing.pivot_kernel import Cloud, Limits, Rows, ball_on, in_one_sheet
from surfora.meshing.settings import MeshSettings
from tomocore.contract import InputError
from tomocore.volumes.volume import Volume

pytestmark = pytest.mark.slow

SPACING = 1.5
SMALL = [
    shapes.sphere(12.0),
    shapes.torus(14.0, 6.0),
    shapes.invaginated_vesicle(18.0, 6.0, 2.5, 4.0),
    shapes.ellipsoid((16.0, 12.0, 8.0)),
    shapes.open_sphere(14.0),
    shapes.open_sphere(14.0, caps=1),
    shapes.open_cylinder(8.0, 24.0),
    shapes.catenoid(8.0, 20.0),
    shapes.wavy_sheet(30.0),
    shapes.apposed_sheets(3.0, 24.0),
    shapes.apposed_spheres(14.0, 3.0),
]


def named(shape):
    return shape.name.replace(" ", "-")


SAMPLED = {}


def thinned_points(shape, spacing_nm):
    """A Poisson-disc sampling of a shape, its rim first, and the normals there; made once."""
    key = (repr(shape), spacing_nm)
    if key not in SAMPLED:
        SAMPLED[key] = sampled(shape, spacing_nm)
    return SAMPLED[key]


def sampled(shape, spacing_nm):
    points, _ = shape.sample(count=int(12 * shape.area_nm2 / spacing_nm**2))
    rims = [rim @ shape.rotation.T + shape.centre_nm for rim in shape.patch.rims]
    points = np.concatenate([*rims, points])
    first = np.arange(len(points)) < sum(map(len, rims))
    points = points[poisson_disc(points, spacing_nm, order=first)]
    return points, shape.normals(points)


def thinned_cloud(shape, spacing_nm=SPACING, noise_nm=0.0, seed=0):
    """Points and normals of a thinned sampling, off the surface by ``noise_nm`` (standard deviation)."""
    points, normals = thinned_points(shape, spacing_nm)
    random = np.random.default_rng(seed)
    points = points + normals * random.normal(0, noise_nm, (len(points), 1))
    normals = normals + random.normal(0, noise_nm / spacing_nm, normals.shape)
    return points, normals / np.linalg.norm(normals, axis=1, keepdims=True)


def assert_sound(points, faces, shape, least_cosine=0.0):
    """No edge on three triangles, no half-edge twice, every triangle wound along the shape's normal."""
    assert edges_and_counts(faces)[1].max() <= 2
    half_edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    assert len(np.unique(half_edges, axis=0)) == len(half_edges)
    cross = face_cross_products(points, faces)
    along = np.einsum("ij,ij->i", cross, shape.normals(points[faces].mean(axis=1)))
    assert (along > least_cosine * np.linalg.norm(cross, axis=1)).all()


@pytest.mark.parametrize("noise_nm", [0.0, 0.1, 0.25])
@pytest.mark.parametrize("shape", SMALL, ids=named)
def test_no_spurious_loop_and_consistent_winding(shape, noise_nm):
    points, normals = thinned_cloud(shape, noise_nm=noise_nm)
    faces = ball_pivot(points, normals, spacing_nm=SPACING)
    assert_sound(points, faces, shape)
    assert len(boundary_loops(faces)) == shape.boundary_loops
    used = np.unique(faces)
    if noise_nm <= 0.1:
        assert len(used) == len(points)
        assert len(used) - len(edges_and_counts(faces)[0]) + len(faces) == shape.euler_characteristic


@pytest.mark.parametrize(
    "shape",
    [
        shapes.sphere(),
        shapes.torus(),
        shapes.invaginated_vesicle(),
        shapes.open_sphere(),
        shapes.open_cylinder(),
        shapes.wavy_sheet(),
        shapes.catenoid(),
        shapes.apposed_spheres(),
    ],
    ids=named,
)
def test_area_is_within_one_percent_and_chords_make_it_small(shape):
    points, normals = thinned_cloud(shape)
    area = face_areas_nm2(points, ball_pivot(points, normals, spacing_nm=SPACING)).sum()
    assert -0.01 < area / shape.area_nm2 - 1 < 0.002


@pytest.mark.parametrize("separation_nm", [2.0, 3.0, 4.0])
@pytest.mark.parametrize("turned", [False, True])
def test_apposed_sheets_stay_two(separation_nm, turned):
    for shape in (shapes.apposed_sheets(separation_nm, 24.0), shapes.apposed_spheres(14.0, separation_nm)):
        points, normals = thinned_cloud(shape, noise_nm=0.07)
        if turned and shape.name == "apposed sheets":
            normals[((points - shape.centre_nm) @ shape.rotation)[:, 2] < 0] *= -1
        faces = ball_pivot(points, normals, spacing_nm=SPACING)
        off = np.abs(shape.signed_distance(points[faces].mean(axis=1)))
        assert off.max() < 0.35  # a bridge passes half the separation away from both
        assert len(boundary_loops(faces)) == shape.boundary_loops
        assert edges_and_counts(faces)[1].max() == 2


def test_graded_spacing():
    shape = shapes.torus()
    points, _ = shape.sample(count=60000)
    along = (points - points.min(axis=0)) @ np.array([0.3, 0.5, 0.8])
    spacing = 2.0 + np.sin(6 * along / along.max())
    kept = poisson_disc(points, spacing)
    points, spacing = points[kept], spacing[kept]
    for given in (spacing, None):
        faces = ball_pivot(points, shape.normals(points), spacing_nm=given)
        assert_sound(points, faces, shape)
        assert len(boundary_edges(faces)) == 0
        assert len(np.unique(faces)) == len(points)


def test_a_third_of_the_points_missing():
    for shape in (shapes.sphere(16.0), shapes.torus(16.0, 7.0)):
        points, normals = thinned_cloud(shape, noise_nm=0.05)
        kept = np.random.default_rng(0).random(len(points)) < 0.7
        faces = ball_pivot(points[kept], normals[kept], spacing_nm=SPACING)
        assert_sound(points[kept], faces, shape)
        assert len(boundary_edges(faces)) == 0


def test_branching_sheets_have_no_edge_on_three_triangles():
    shape = shapes.branching_sheets()
    points, normals = thinned_cloud(shape, noise_nm=0.05)
    faces = ball_pivot(points, normals, spacing_nm=SPACING)
    assert edges_and_counts(faces)[1].max() == 2
    assert face_areas_nm2(points, faces).sum() == pytest.approx(shape.area_nm2, rel=0.05)


def test_lattices_repeated_points_and_points_without_normals():
    shape = shapes.flat_sheet(30.0, 20.0)
    points, _ = shape.mesh(1.0)
    normals = shape.normals(points)
    whole = ball_pivot(points, normals, spacing_nm=1.0)
    assert face_areas_nm2(points, whole).sum() == pytest.approx(600.0)
    bad = np.concatenate([points[:200], [[np.nan, 0, 0]], points[:1] + 0.4])
    bad_normals = np.concatenate([normals[:200], normals[:1], np.zeros((1, 3))])
    faces = ball_pivot(np.concatenate([points, bad]), np.concatenate([normals, bad_normals]), spacing_nm=1.0)
    assert np.array_equal(faces, whole)


def test_same_cloud_same_mesh_and_turned_normals_turned_mesh():
    shape = shapes.open_sphere(14.0)
    points, normals = thinned_cloud(shape, noise_nm=0.1)
    faces = ball_pivot(points, normals, spacing_nm=SPACING)
    assert np.array_equal(faces, ball_pivot(points, normals, spacing_nm=SPACING))
    inward = ball_pivot(points, -normals, spacing_nm=SPACING)
    cross = face_cross_products(points, inward)
    assert (np.einsum("ij,ij->i", cross, shape.normals(points[inward[:, 0]])) < 0).all()


def test_equals_the_alpha_shape_found_by_trying_every_triangle():
    """At one radius the triangles are those that an empty ball touches from outside: all are tried."""
    shape = shapes.sphere(6.0)
    points, normals = thinned_cloud(shape, 2.2)
    factor, radius = 1.5, 1.5 * 2.2
    expected = set()
    for a, b, c in combinations(range(len(points)), 3):
        if np.cross(points[b] - points[a], points[c] - points[a]) @ normals[a] < 0:
            b, c = c, b
        fits, *centre = ball_on(points, a, b, c, radius)
        if fits:
            gap = np.linalg.norm(points - centre, axis=1)
            gap[[a, b, c]] = np.inf
            if gap.min() > radius:
                expected.add(frozenset((a, b, c)))
    settings = MeshSettings(smallest_radius_spacings=factor, largest_radius_spacings=factor, radius_count=1)
    faces = ball_pivot(points, normals, settings, 2.2)
    assert {frozenset(face) for face in faces.tolist()} == expected
    assert len(faces) == 2 * len(points) - 4


def test_ball_touches_its_three_points_on_the_outer_side():
    random = np.random.default_rng(0)
    for _ in range(200):
        points = random.normal(0, 1, (3, 3))
        radius = random.uniform(0.2, 4)
        fits, *centre = ball_on(points, 0, 1, 2, radius)
        side = np.linalg.norm(points - np.roll(points, -1, axis=0), axis=1)
        normal = np.cross(points[1] - points[0], points[2] - points[0])
        circumradius = side.prod() / (2 * np.linalg.norm(normal))
        assert fits == (circumradius <= radius)
        if fits:
            assert np.linalg.norm(points - centre, axis=1) == pytest.approx(radius)
            assert (centre - points[0]) @ normal >= -1e-9


def test_neighbours_equal_brute_force():
    shape = shapes.apposed_spheres(10.0, 3.0)
    points, normals = thinned_cloud(shape, noise_nm=0.05)
    spacing = np.random.default_rng(0).uniform(1.0, 2.0, len(points))
    low, width = points.min(axis=0), 4.0
    column = ((points[:, :2] - low[:2]) / width).astype(int)
    nx, ny = (int(v) + 1 for v in column.max(axis=0))
    row = column[:, 0] * ny + column[:, 1]
    order = np.lexsort((points[:, 2], row))
    cloud = Cloud(points[order], normals[order], spacing[order])
    rows = Rows(np.searchsorted(row[order], np.arange(nx * ny + 1)), nx, ny, low[0], low[1], width)
    limits = Limits(lift=np.sin(np.pi / 4), turn=0.0, facing=0.3)
    asked = np.arange(len(points)) % 3 > 0
    start, found = sheet_neighbours(cloud, rows, limits, asked, 2.5)
    for i in range(len(points)):
        chord = cloud.points - cloud.points[i]
        length = np.linalg.norm(chord, axis=1)
        total = cloud.normals + cloud.normals[i]
        height = np.abs(np.einsum("ij,ij->i", chord, total)) / np.linalg.norm(total, axis=1)
        reach = np.clip(length, cloud.spacing[i], 1.5 * cloud.spacing[i])
        near = (length <= 2.5 * cloud.spacing[i]) & (cloud.normals @ cloud.normals[i] >= 0)
        near &= (height <= limits.lift * reach) & (np.arange(len(points)) != i) & asked[i]
        assert sorted(found[start[i] : start[i + 1]]) == np.flatnonzero(near).tolist()
    assert start[-1] > 5 * len(points)


def test_a_sphere_is_one_sheet_and_parallel_sheets_are_not():
    points = np.array([[0, 0, 5.0], [3.0, 0, 4.0], [0.5, 0, 7.0], [0.5, 0, 3.0]])
    normals = np.array([[0, 0, 1.0], [0.6, 0, 0.8], [0, 0, 1.0], [0, 0, -1.0]])
    cloud, limits = Cloud(points, normals, np.full(4, 1.5)), Limits(0.7, 0.0, 0.3)
    assert in_one_sheet(cloud, limits, 0, 1)
    assert not in_one_sheet(cloud, limits, 0, 2)
    assert not in_one_sheet(cloud, limits, 0, 3)


def test_spacing_is_estimated_from_the_density():
    points, _ = thinned_cloud(shapes.torus())
    assert np.median(estimate_spacing_nm(points)) == pytest.approx(SPACING, rel=0.1)
    with pytest.raises(InputError, match="at least 8"):
        estimate_spacing_nm(points[:5])


def cloud_and_support(shape, thickness_nm=3.0):
    points, normals = thinned_cloud(shape, noise_nm=0.05)
    mask, origin = shape.voxelise(1.0, thickness_nm)
    spacing = np.full(len(points), SPACING)
    cloud = PointCloud(points, normals, {"spacing_nm": spacing, "number": np.arange(len(points))})
    return cloud, Volume(mask, 1.0, origin)


def test_a_mesh_keeps_the_clouds_arrays_and_normals():
    shape = shapes.open_sphere(14.0)
    cloud, support = cloud_and_support(shape)
    steps = []
    mesh = mesh_points(cloud, support=support, progress=lambda done, total: steps.append((done, total)))
    number = mesh.data["number"]
    assert np.array_equal(mesh.vertices, cloud.points[number])
    assert np.allclose(mesh.normals, cloud.normals[number])
    assert len(boundary_loops(mesh.faces)) == 2
    assert steps[-1][0] == steps[-1][1]


def slit(shape, cloud, support, width_nm):
    """Cloud and support without the strip |x| < width / 2 of the shape's own frame."""
    mask = support.data.copy()
    inside = np.argwhere(mask)
    across = ((support.world(inside) - shape.centre_nm) @ shape.rotation)[:, 0]
    mask[tuple(inside[np.abs(across) < width_nm / 2].T)] = False
    kept = np.abs(((cloud.points - shape.centre_nm) @ shape.rotation)[:, 0]) > width_nm / 2
    return cloud.at(kept), support.with_data(mask)


@pytest.mark.parametrize("seed", [7, 8, 9])
def test_no_triangle_bridges_a_gap_of_two_voxels(seed):
    shape = shapes.flat_sheet(30.0, 24.0, seed=seed)
    cloud, support = slit(shape, *cloud_and_support(shape), width_nm=2.4)
    bridged, parted = (mesh_points(cloud, support=given) for given in (None, support))
    for mesh, loops in ((bridged, 1), (parted, 2)):
        x = ((mesh.vertices - shape.centre_nm) @ shape.rotation)[:, 0][mesh.faces]
        crossing = (x.min(axis=1) < 0) & (x.max(axis=1) > 0)
        assert crossing.any() == (loops == 1)
        assert len(boundary_loops(mesh.faces)) == loops


def test_foreign_labels_part_a_mesh():
    shape = shapes.flat_sheet(30.0, 24.0, seed=7)
    cloud, support = cloud_and_support(shape)
    inside = np.argwhere(support.data)
    across = ((support.world(inside) - shape.centre_nm) @ shape.rotation)[:, 0]
    foreign = np.zeros_like(support.data)
    foreign[tuple(inside[np.abs(across) < 1.0].T)] = True
    assert len(boundary_loops(mesh_points(cloud, support=support).faces)) == 1
    mesh = mesh_points(cloud, support=support, foreign=foreign)
    x = ((mesh.vertices - shape.centre_nm) @ shape.rotation)[:, 0][mesh.faces]
    assert not ((x.min(axis=1) < 0) & (x.max(axis=1) > 0)).any()


def test_holes_are_filled_only_where_the_support_backs_them():
    shape = shapes.sphere(14.0)
    cloud, support = cloud_and_support(shape)
    pole = cloud.points[0]
    far = np.linalg.norm(cloud.points - pole, axis=1) > 4.5
    settings = MeshSettings(fill_loops_nm=12.0)
    assert len(boundary_loops(mesh_points(cloud.at(far), settings).faces)) == 1
    assert mesh_points(cloud.at(far), settings, support=support).is_closed
    refused = MeshSettings(fill_loops_nm=5.0)
    assert not mesh_points(cloud.at(far), refused, support=support).is_closed
    holed = support.data.copy()
    inside = np.argwhere(holed)
    holed[tuple(inside[np.linalg.norm(support.world(inside) - pole, axis=1) < 3.0].T)] = False
    assert len(boundary_loops(mesh_points(cloud.at(far), settings, support.with_data(holed)).faces)) == 1


def test_pinholes_are_closed_but_no_slit():
    shape = shapes.flat_sheet(30.0, 24.0, seed=7)
    cloud, support = cloud_and_support(shape)
    inside = np.argwhere(support.data)
    voxel = (support.world(inside) - shape.centre_nm) @ shape.rotation
    point = (cloud.points - shape.centre_nm) @ shape.rotation
    for half_length, closed in ((1.6, 1), (6.0, 2)):
        mask = support.data.copy()
        mask[tuple(inside[(np.abs(voxel[:, 0]) < 1.2) & (np.abs(voxel[:, 1]) < half_length)].T)] = False
        kept = cloud.at((np.abs(point[:, 0]) > 1.2) | (np.abs(point[:, 1]) > half_length))
        for pinhole_nm, loops in ((8.0, closed), (0.0, 2)):
            mesh = mesh_points(kept, MeshSettings(pinhole_nm=pinhole_nm), support.with_data(mask))
            assert len(boundary_loops(mesh.faces)) == loops


def test_small_components_are_dropped():
    shape = shapes.apposed_sheets(12.0, 24.0)
    cloud, _ = cloud_and_support(shape)
    upper = ((cloud.points - shape.centre_nm) @ shape.rotation)[:, 2] > 0
    centre = cloud.points[upper].mean(axis=0)
    scrap = upper & (np.linalg.norm(cloud.points - centre, axis=1) < 5.0)
    cloud = cloud.at(~upper | scrap)
    kept = mesh_points(cloud, MeshSettings(smallest_component_nm2=100.0))
    every = mesh_points(cloud, MeshSettings(smallest_component_nm2=30.0))
    assert len(boundary_loops(kept.faces)) == 1
    assert len(boundary_loops(every.faces)) == 2
    assert face_areas_nm2(kept.vertices, kept.faces).sum() == pytest.approx(24.0**2, rel=0.02)


def test_clouds_that_cannot_be_meshed_are_refused():
    cloud, support = cloud_and_support(shapes.flat_sheet(12.0, 12.0))
    with pytest.raises(InputError, match="no point lies in a voxel of the mask"):
        mesh_points(cloud, support=replace(support, origin_nm=(500.0, 500.0, 500.0)))
    with pytest.raises(InputError, match="surfora orient"):
        mesh_points(PointCloud(cloud.points))
    with pytest.raises(InputError, match="normals"):
        mesh_points(PointCloud(cloud.points, cloud.normals[:-1]))
    with pytest.raises(InputError, match="no triangle"):
        mesh_points(cloud, MeshSettings(smallest_component_nm2=1e6))
    with pytest.raises(InputError, match="positive"):
        ball_pivot(cloud.points, cloud.normals, spacing_nm=-1.0)
