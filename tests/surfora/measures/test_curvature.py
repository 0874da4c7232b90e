"""Curvature against closed forms: clean meshes, voxel-like noise, rims, the scale rules, the kernels."""

from __future__ import annotations

import numpy as np
import pytest
import shapes
from geodesic_balls import geodesic_balls
from pydantic import ValidationError
from scipy.sparse import csr_array

from surfora.geometry.surface import SurfaceMesh, boundary_vertices, vertex_areas_nm2, vertex_normals
from surfora.measures import averaging, curvature
from surfora.measures.curvature import confidence, mesh_curvature, scan_radii_nm, shape_of
from surfora.measures.curvature_scales import balanced_choice, noise_density, stable_choice
from surfora.measures.geodesics import new_front, triangle_fans
from surfora.measures.jets import (
    COLUMNS,
    DIFFERENCE,
    K1_X,
    K1_Z,
    MEAN,
    MEAN_VARIANCE,
    TWIST,
    arc_ball,
    jet_table,
)
from surfora.measures.settings import CurvatureSettings
from surfora.measures.statistics import NoValues
from tomocore.contract import InputError

pytestmark = pytest.mark.slow

SMOOTH = [
    shapes.sphere(12.0),
    shapes.torus(20.0, 8.0),
    shapes.open_cylinder(10.0, 40.0),
    shapes.catenoid(15.0, 36.0),
    shapes.ellipsoid((22.0, 17.0, 12.0)),
    shapes.wavy_sheet(60.0, 3.0, 40.0),
]


def irregular_mesh(shape, edge_nm, seed=0):
    """A mesh of the shape with its vertices moved about on the surface, by up to a fifth of an edge."""
    vertices, faces = shape.mesh(edge_nm)
    move = np.random.default_rng(seed).uniform(-0.2, 0.2, vertices.shape) * edge_nm
    move[boundary_vertices(faces, len(vertices))] = 0
    return shape.feet(vertices + move).points, faces


def rough(points, rms_nm, length_nm, seed=0, waves=200):
    """Gaussian random heights (n,) at points, correlated as exp(−d² / (2 length²))."""
    random = np.random.default_rng(seed)
    waves_at = random.normal(size=(waves, 3)) / length_nm
    return (
        rms_nm
        * np.sqrt(2 / waves)
        * np.cos(points @ waves_at.T + random.uniform(0, 2 * np.pi, waves)).sum(axis=1)
    )


def errors_of(shape, mesh, away_nm=5.0, settings=None):
    """Relative errors of H and K away from the rim; H over at least 0.02/nm, K over at least 5e-4/nm²."""
    found = mesh_curvature(mesh, settings).data
    feet = shape.feet(mesh.vertices)
    inside = shape.rim_distance(mesh.vertices) > away_nm
    h = (found["mean_curvature_per_nm"] - feet.mean_curvature) / np.maximum(np.abs(feet.mean_curvature), 0.02)
    k = (found["gaussian_curvature_per_nm2"] - feet.gaussian_curvature) / np.maximum(
        np.abs(feet.gaussian_curvature), 5e-4
    )
    return h[inside], k[inside], found


@pytest.mark.parametrize("shape", SMOOTH, ids=lambda shape: shape.name)
def test_clean_meshes_give_the_closed_form(shape):
    h, k, _ = errors_of(shape, SurfaceMesh(*irregular_mesh(shape, 1.6)))
    assert np.median(np.abs(h)) < 0.007
    assert np.percentile(np.abs(h), 95) < 0.04
    assert np.median(np.abs(k)) < 0.014


@pytest.mark.parametrize(
    ("shape", "median_h", "p95_h", "median_k"),
    [
        (shapes.sphere(12.0), 0.02, 0.05, 0.04),
        (shapes.sphere(20.0), 0.01, 0.03, 0.02),
        (shapes.torus(25.0, 11.0), 0.025, 0.08, 0.06),
        (shapes.open_cylinder(15.0, 45.0), 0.02, 0.06, 0.10),
    ],
    ids=lambda value: value.name if isinstance(value, shapes.Shape) else "",
)
def test_noise_as_a_medial_projection_leaves_it_is_averaged_at_a_scale_found_unaided(
    shape, median_h, p95_h, median_k
):
    vertices, faces = irregular_mesh(shape, 1.7)
    noisy = vertices + rough(vertices, 0.05, 1.5)[:, None] * shape.normals(vertices)
    h, k, found = errors_of(shape, SurfaceMesh(noisy, faces), away_nm=8.0)
    assert np.nanmedian(np.abs(h)) < median_h
    assert np.nanpercentile(np.abs(h), 95) < p95_h
    assert np.nanmedian(np.abs(k)) < median_k
    assert np.nanmedian(found["curvature_radius_nm"]) > 8.0  # clean meshes take 5 to 9


def test_published_rule_stays_selectable_and_is_worse_under_noise():
    shape = shapes.sphere(18.0)
    vertices, faces = irregular_mesh(shape, 1.8)
    mesh = SurfaceMesh(vertices + rough(vertices, 0.05, 1.5)[:, None] * shape.normals(vertices), faces)
    ours, _, _ = errors_of(shape, mesh)
    published, _, _ = errors_of(
        shape, mesh, settings=CurvatureSettings(scale="stable", coordinates="tangent", order=2)
    )
    assert np.percentile(np.abs(ours), 95) < 0.2 * np.percentile(np.abs(published), 95)


@pytest.mark.parametrize("shape", [SMOOTH[0], SMOOTH[3]], ids=lambda shape: shape.name)
def test_turning_the_mesh_inside_out_negates_and_swaps_the_principal_curvatures(shape):
    vertices, faces = irregular_mesh(shape, 2.0)
    out = mesh_curvature(SurfaceMesh(vertices, faces)).data
    inward = mesh_curvature(SurfaceMesh(vertices, faces[:, ::-1])).data
    seen = np.isfinite(out["k1_per_nm"])
    assert seen.mean() > 0.85
    assert np.allclose(inward["k1_per_nm"][seen], -out["k2_per_nm"][seen], atol=2e-4)
    assert np.allclose(
        inward["gaussian_curvature_per_nm2"][seen], out["gaussian_curvature_per_nm2"][seen], atol=5e-5
    )


def test_the_mesh_s_own_normals_say_which_side_is_out():
    shape = shapes.sphere(12.0)
    vertices, faces = shape.mesh(2.0)
    inward = mesh_curvature(SurfaceMesh(vertices, faces, -shape.normals(vertices))).data
    assert np.median(inward["mean_curvature_per_nm"]) == pytest.approx(-1 / 12, rel=0.01)


@pytest.mark.parametrize(
    ("k1", "k2", "index", "curvedness"),
    [(0.1, 0.1, 1.0, 0.1), (0.1, 0.0, 0.5, 0.1 / np.sqrt(2)), (0.1, -0.1, 0.0, 0.1),
     (0.0, -0.1, -0.5, 0.1 / np.sqrt(2)), (-0.1, -0.1, -1.0, 0.1), (np.nan, 0.1, np.nan, np.nan)],
)  # fmt: skip
def test_shape_index_and_curvedness_by_hand(k1, k2, index, curvedness):
    found = shape_of(np.array([k1]), np.array([k2]))
    np.testing.assert_allclose(np.concatenate(found), [index, curvedness], atol=1e-12)


def test_shape_index_of_a_cylinder_follows_the_side_of_the_normals():
    shape = shapes.open_cylinder(10.0, 40.0)
    vertices, faces = irregular_mesh(shape, 1.8)
    inside = shape.rim_distance(vertices) > 5
    for way, index in ((faces, 0.5), (faces[:, ::-1], -0.5)):
        found = mesh_curvature(SurfaceMesh(vertices, way)).data
        assert np.abs(found["shape_index"][inside] - index).max() < 0.05
        assert np.median(found["curvedness_per_nm"][inside]) == pytest.approx(0.1 / np.sqrt(2), rel=0.01)


def test_principal_directions_of_a_cylinder_run_around_it():
    shape = shapes.open_cylinder(10.0, 40.0)
    vertices, faces = irregular_mesh(shape, 1.6)
    found = mesh_curvature(SurfaceMesh(vertices, faces)).data
    inside = shape.rim_distance(vertices) > 5
    axis = shape.rotation[:, 2]
    assert np.abs(found["k1_direction"][inside] @ axis).max() < 0.15
    assert np.median(found["k1_per_nm"][inside]) == pytest.approx(0.1, rel=0.01)
    assert np.abs(np.median(found["k2_per_nm"][inside])) < 5e-4
    assert (found["k1_per_nm"][inside] >= found["k2_per_nm"][inside]).all()


def test_order_two_has_the_sign_of_bias_its_series_says_and_order_four_has_less():
    shape = shapes.sphere(10.0)
    vertices, faces = irregular_mesh(shape, 1.2)
    mesh = SurfaceMesh(vertices, faces)
    median = {}
    for order, coordinates in ((2, "tangent"), (2, "geodesic"), (4, "tangent"), (4, "geodesic")):
        settings = CurvatureSettings(radii_nm=(7.0,), order=order, coordinates=coordinates)
        h = mesh_curvature(mesh, settings).data["mean_curvature_per_nm"]
        median[order, coordinates] = np.median(h) * 10 - 1
    # z = ½ρ² + ⅛ρ⁴ + ρ⁶/16 + …: order 2 takes the next term for more curvature, order 4 for less
    assert 0.08 < median[2, "tangent"] < 0.2
    assert -0.04 < median[4, "tangent"] < -0.01
    # z = ½s² − s⁴/24 + s⁶/720 − … in the geodesic's own length
    assert 0.0 < median[2, "geodesic"] < median[2, "tangent"]
    assert abs(median[4, "geodesic"]) < 0.25 * abs(median[4, "tangent"])


def test_boundary_vertices_have_no_curvature_and_vertices_near_it_less_confidence():
    shape = shapes.open_sphere(20.0)
    vertices, faces = irregular_mesh(shape, 1.8)
    found = mesh_curvature(SurfaceMesh(vertices, faces)).data
    rim = boundary_vertices(faces, len(vertices))
    assert np.isnan(found["mean_curvature_per_nm"][rim]).all()
    assert (found["curvature_confidence"][rim] == 0).all()
    assert (found["boundary_distance_nm"][rim] == 0).all()
    assert np.isfinite(found["mean_curvature_per_nm"][~rim]).all()
    distance = found["boundary_distance_nm"]
    near, far = ~rim & (distance < 3), distance > 10
    trust = found["curvature_confidence"]
    assert np.median(trust[near]) < 0.8 * np.median(trust[far])
    assert np.median(trust[far]) > 0.9


def test_error_bars_hold_what_they_promise():
    shape = shapes.torus(18.0, 8.0)
    vertices, faces = irregular_mesh(shape, 1.8)
    mesh = SurfaceMesh(vertices + rough(vertices, 0.06, 1.5)[:, None] * shape.normals(vertices), faces)
    found = mesh_curvature(mesh).data
    miss = np.abs(found["mean_curvature_per_nm"] - shape.mean_curvature(vertices))
    bars = miss / found["curvature_error_per_nm"]
    assert 0.2 < np.median(bars) < 1.2
    assert np.mean(bars < 2.0) > 0.85


def test_confidence_falls_with_noise():
    shape = shapes.sphere(15.0)
    vertices, faces = irregular_mesh(shape, 1.8)
    trust = []
    for rms in (0.02, 0.2, 0.8):
        noisy = vertices + rough(vertices, rms, 2.0)[:, None] * shape.normals(vertices)
        trust.append(np.median(mesh_curvature(SurfaceMesh(noisy, faces)).data["curvature_confidence"]))
    assert trust[0] > 0.95
    assert trust[0] > trust[1] > trust[2]


def test_degenerate_neighbourhoods_give_nan_and_no_confidence():
    strip = np.array(
        [[x, y, 0.0] for x in range(12) for y in (0.0, 1.0, 2.0)]
    )  # a ribbon three vertices wide
    faces = []
    for x in range(11):
        for y in range(2):
            a = 3 * x + y
            faces += [[a, a + 3, a + 1], [a + 1, a + 3, a + 4]]
    lone = np.array([[40.0, 0, 0], [41, 0, 0], [40, 1, 0]])
    mesh = SurfaceMesh(np.concatenate([strip, lone]), np.array([*faces, [36, 37, 38]]))
    with pytest.raises(NoValues, match=r"none of 39 vertices has neighbours enough for a fit within 1\.2 nm"):
        mesh_curvature(mesh, CurvatureSettings(radii_nm=(1.2,)))
    ball, triangles = shapes.sphere(3.0).mesh(0.35)
    both = SurfaceMesh(np.concatenate([mesh.vertices, ball]), np.concatenate([mesh.faces, triangles + 39]))
    found = mesh_curvature(both, CurvatureSettings(radii_nm=(1.2,))).data
    for name in ("mean_curvature_per_nm", "k1_per_nm", "curvature_radius_nm", "curvature_error_per_nm"):
        assert np.isnan(found[name][:39]).all()
        assert np.isfinite(found[name][39:]).all()
    assert (found["curvature_confidence"][:39] == 0).all()


def test_same_results_whatever_the_order_of_vertices():
    shape = shapes.torus(14.0, 6.0)
    vertices, faces = irregular_mesh(shape, 2.0)
    shuffle = np.random.default_rng(3).permutation(len(vertices))
    rank = np.argsort(shuffle)
    first = mesh_curvature(SurfaceMesh(vertices, faces)).data
    second = mesh_curvature(SurfaceMesh(vertices[shuffle], rank[faces])).data
    for name in ("mean_curvature_per_nm", "gaussian_curvature_per_nm2", "curvature_radius_nm"):
        assert np.allclose(first[name][shuffle], second[name], rtol=1e-6, atol=1e-9)


def test_meshes_without_triangles_or_with_nan_are_refused():
    with pytest.raises(InputError, match="no triangles"):
        mesh_curvature(SurfaceMesh(np.zeros((3, 3)), np.empty((0, 3), dtype=np.int64)))
    with pytest.raises(InputError, match="not finite"):
        mesh_curvature(SurfaceMesh(np.full((3, 3), np.nan), np.array([[0, 1, 2]])))


def test_progress_rises_to_its_total_and_what_is_averaged_can_be_ended(monkeypatch):
    monkeypatch.setattr(curvature, "PORTION", 100)
    monkeypatch.setattr(averaging, "PORTION", 100)
    vertices, faces = shapes.sphere(10.0).mesh(2.5)
    seen = []

    def ended_at(share):
        def progress(done, total):
            seen.append(done / total)
            if done >= share * total:
                raise KeyboardInterrupt

        return progress

    with pytest.raises(KeyboardInterrupt):
        mesh_curvature(SurfaceMesh(vertices, faces), progress=ended_at(0.7))
    assert 0.7 <= max(seen) < 0.9
    seen.clear()
    mesh_curvature(SurfaceMesh(vertices, faces), progress=ended_at(2.0))
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    assert sum(0.5 < share < 1 for share in seen) > 1


def test_settings_refuse_radii_that_do_not_ascend_and_scan_in_equal_ratios():
    with pytest.raises(ValidationError, match="ascend"):
        CurvatureSettings(radii_nm=(5.0, 4.0))
    with pytest.raises(ValidationError, match="below"):
        CurvatureSettings(smallest_radius_nm=10, largest_radius_nm=5)
    radii = scan_radii_nm(CurvatureSettings(), 1.0)
    assert radii[0] == 4.0
    assert radii[-1] == pytest.approx(24.0)
    assert np.ptp(radii[1:] / radii[:-1]) < 1e-12
    coarse = scan_radii_nm(CurvatureSettings(), 5.0)
    assert coarse[0] == 12.5
    assert coarse[-1] == 30.0
    assert scan_radii_nm(CurvatureSettings(radii_nm=(8.0,)), 5.0) == [8.0]


def test_jets_equal_their_slow_twin():
    shape = shapes.ellipsoid((15.0, 11.0, 8.0))
    vertices, faces = irregular_mesh(shape, 1.5)
    normals, areas, fans = (
        vertex_normals(vertices, faces),
        vertex_areas_nm2(vertices, faces),
        triangle_fans(vertices, faces),
    )
    sources, radii = np.arange(0, len(vertices), 53), np.array([4.0, 6.0])
    balls = geodesic_balls(vertices, faces, 6.0, sources, normals)
    for coordinates in ("geodesic", "tangent"):
        table = jet_table(sources, radii, (2, 4), vertices, normals, areas, fans, coordinates=coordinates)
        geodesic = coordinates == "geodesic"
        assert table.shape == (len(sources), 2, 2, COLUMNS)
        for at, source in enumerate(sources):
            row = slice(balls.start[at], balls.start[at + 1])
            for ring, radius in enumerate(radii):
                inside = balls.distance_nm[row] <= radius
                member, uv = balls.vertex[row][inside], balls.log_map_nm[row][inside]
                for kind, order in enumerate((2, 4)):
                    h, k, variance = slow_jet(vertices, areas, normals, source, member, uv, order, geodesic)
                    fit = table[at, ring, kind]
                    if len(member) < 0.75 * (order + 1) * (order + 2):
                        assert np.isnan(fit).all()
                        continue
                    assert fit[MEAN] == pytest.approx(h, rel=1e-6)
                    assert fit[MEAN] ** 2 - fit[DIFFERENCE] ** 2 - fit[TWIST] ** 2 == pytest.approx(
                        k, rel=1e-5
                    )
                    assert fit[MEAN_VARIANCE] == pytest.approx(variance, rel=1e-5)
                    assert np.linalg.norm(fit[K1_X : K1_Z + 1]) == pytest.approx(1.0)


@pytest.mark.parametrize(
    "shape", [shapes.sphere(12.0), shapes.open_cylinder(12.0, 50.0)], ids=lambda s: s.name
)
def test_arcs_are_the_geodesics_of_spheres_and_cylinders(shape):
    vertices, faces = irregular_mesh(shape, 1.5)
    normals, reach = shape.normals(vertices), 20.0
    source = int(np.argmax(shape.rim_distance(vertices))) if not shape.is_closed else 5
    front = new_front(len(vertices))
    fans = triangle_fans(vertices, faces)
    count = arc_ball(front, source, reach, vertices, normals, fans.start, fans.corner)
    member, found = front[1][:count], front[2][:count]
    n, way = normals[source], vertices - vertices[source]
    turn = np.arctan2(np.linalg.norm(np.cross(n, normals), axis=1), normals @ n)
    axis = shape.rotation[:, 2] if shape.name == "open cylinder" else np.zeros(3)
    true = np.hypot(12.0 * turn, way @ axis)
    np.testing.assert_allclose(found, true[member], atol=1e-5)
    facing = turn < np.deg2rad(119)
    assert set(np.flatnonzero((true < reach) & facing)) == set(member.tolist())


def test_arcs_are_right_to_third_order_on_saddles_and_stop_at_folds():
    shape = shapes.torus(25.0, 11.0)
    vertices, faces = irregular_mesh(shape, 1.2)
    normals, fans = shape.normals(vertices), triangle_fans(vertices, faces)
    inner = int(np.argmin(shape.gaussian_curvature(vertices)))
    exact = np.full(len(vertices), np.nan)
    balls = geodesic_balls(vertices, faces, 12.0, np.array([inner]), normals)
    exact[balls.vertex] = balls.distance_nm
    front = new_front(len(vertices))
    for reach, most_nm in ((12.0, 0.4), (6.0, 0.03)):
        count = arc_ball(front, inner, reach, vertices, normals, fans.start, fans.corner)
        assert np.nanmax(np.abs(front[2][:count] - exact[front[1][:count]])) < most_nm
    vesicle = shapes.invaginated_vesicle()
    vertices, faces = vesicle.mesh(1.5)
    normals, fans = vesicle.normals(vertices), triangle_fans(vertices, faces)
    neck = int(np.argmin(vesicle.gaussian_curvature(vertices)))
    front = new_front(len(vertices))
    count = arc_ball(front, neck, 15.0, vertices, normals, fans.start, fans.corner)
    chord = np.linalg.norm(vertices[front[1][:count]] - vertices[neck], axis=1)
    assert count > 100
    assert (front[2][:count] >= 0.98 * chord).all()


def slow_jet(vertices, areas, normals, source, member, uv, order, geodesic):
    """H, K and the variance factor of H from one least-squares fit, written as in a textbook."""
    way, n = vertices[member] - vertices[source], normals[source]
    if not geodesic:
        e = np.cross(n, [1.0, 0, 0]) if abs(n[0]) < 0.9 else np.cross(n, [0, 1.0, 0])
        e /= np.linalg.norm(e)
        uv = way @ np.column_stack([e, np.cross(n, e)])
    u, v = uv.T
    matrix = np.column_stack([u ** (d - j) * v**j for d in range(order + 1) for j in range(d + 1)])
    root = np.sqrt(areas[member])[:, None]
    fit = np.linalg.lstsq(matrix * root, way * root, rcond=None)[0]
    xu, xv, xuu, xuv, xvv = fit[1], fit[2], 2 * fit[3], fit[4], 2 * fit[5]
    normal = np.cross(xu, xv) / np.linalg.norm(np.cross(xu, xv))
    normal *= np.sign(normal @ n)
    first = np.array([[xu @ xu, xu @ xv], [xu @ xv, xv @ xv]])
    second = -np.array([[xuu @ normal, xuv @ normal], [xuv @ normal, xvv @ normal]])
    operator = np.linalg.solve(first, second)
    inverse = np.linalg.inv((matrix * root).T @ (matrix * root))
    return np.trace(operator) / 2, np.linalg.det(operator), inverse[3, 3] + 2 * inverse[3, 5] + inverse[5, 5]


def test_stable_choice_takes_the_smallest_steady_radius_else_the_largest_finite():
    h = np.array(
        [
            [0.20, 0.10, 0.101, 0.1011],  # steady from the second radius on
            [0.20, 0.10, 0.05, 0.025],  # never steady
            [0.20, 0.10, 0.05, np.nan],  # never steady, the largest has no fit
            [np.nan, np.nan, np.nan, np.nan],
            [1.00, 1.02, 1.04, 1.06],  # relative change small, absolute not
        ]
    )
    radius, change = stable_choice(h, tau_rel=0.05, tau_abs_per_nm=0.005, epsilon_per_nm=1e-3)
    assert radius.tolist() == [1, 3, 2, -1, 3]
    assert change[0] == pytest.approx(0.001)


def table_of(h2, h4, variance2=1e-9, variance4=1e-9):
    table = np.full((1, len(h2), 2, COLUMNS), np.nan)
    table[..., [DIFFERENCE, TWIST]] = 0.0
    table[0, :, 0, MEAN], table[0, :, 1, MEAN] = h2, h4
    table[0, :, 0, MEAN_VARIANCE], table[0, :, 1, MEAN_VARIANCE] = variance2, variance4
    table[..., MEAN_VARIANCE + 1] = 0.0
    return table


def test_balanced_choice_weighs_noise_against_the_orders_disagreement():
    radii, density = np.array([4.0, 8.0, 16.0]), np.ones((3, 2))
    noise = np.array([1e-4, 1e-6, 1e-8])
    agree = table_of([0.1, 0.1, 0.1], [0.1, 0.1, 0.1], noise, noise)
    assert balanced_choice(agree, radii, density, "auto").radius[0] == 2
    bent = table_of([0.1, 0.1, 0.04], [0.1, 0.1, 0.09], noise, noise)
    choice = balanced_choice(bent, radii, density, "auto")
    assert (choice.radius[0], choice.order[0]) == (1, 1)
    assert choice.error_per_nm[0] == pytest.approx(1e-3, rel=0.1)
    few = table_of([0.01, 0.01, 0.01], [np.nan] * 3, noise, noise)
    assert balanced_choice(few, radii, density, "auto").order[0] == 0
    assert balanced_choice(few, radii, density, 4).radius[0] == -1


def test_radii_even_out_between_neighbours():
    radii, density = np.array([4.0, 6.0, 9.0]), np.ones((3, 2))
    noise = np.array([1e-4, 1e-6, 1e-8])
    flat = table_of([0.1, 0.1, 0.1], [0.1, 0.1, 0.1], noise, noise)
    bent = table_of([0.1, 0.2, 0.3], [0.1, 0.1, 0.1], noise, noise)
    table = np.concatenate([flat, bent, flat, flat])
    chain = csr_array(np.eye(4, k=1) + np.eye(4, k=-1))
    assert balanced_choice(table, radii, density, "auto").radius.tolist() == [2, 0, 2, 2]
    evened = balanced_choice(table, radii, density, "auto", chain)
    assert evened.radius.tolist() == [1, 1, 2, 2]
    assert evened.error_per_nm[0] == pytest.approx(np.sqrt(1e-6), rel=0.01)


def test_noise_density_is_the_variance_times_the_area_it_is_spread_over():
    shape = shapes.sphere(30.0)
    vertices, faces = shape.mesh(1.5)
    noise = np.random.default_rng(1).normal(scale=0.05, size=len(vertices))
    noisy = vertices + noise[:, None] * shape.normals(vertices)
    areas, radii = vertex_areas_nm2(noisy, faces), np.array([4.0, 5.0, 6.5, 8.5])
    table = jet_table(
        np.arange(0, len(vertices), 5), radii, (2, 4), vertices=noisy, normals=shape.normals(vertices),
        areas_nm2=areas, fans=triangle_fans(noisy, faces),
    )  # fmt: skip
    density = noise_density(table, radii)
    assert density.shape == (4, 2)
    assert np.median(density[:, 1]) == pytest.approx(0.05**2 * np.median(areas), rel=0.35)


def test_confidence_is_the_product_of_its_parts():
    def trust(size, error, offset, neighbours):
        return confidence(*(np.array([value]) for value in (size, error, offset, neighbours)))[0]

    assert trust(0.1, 0.0, 0.0, 5.0) == 1.0
    assert trust(0.1, 0.03, 0.0, 5.0) == pytest.approx(0.5)
    assert trust(0.1, 0.0, 0.4245, 5.0) == pytest.approx(0.0)
    assert trust(0.1, 0.0, 0.0, 1.0) == 0.5
    assert trust(np.nan, np.nan, np.nan, np.nan) == 0.0
