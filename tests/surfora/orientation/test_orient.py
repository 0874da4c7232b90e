"""Orientation on membranes as they come: open, folded, noisy, thinned; which side; and how sure."""

import logging

import clouds
import numpy as np
import pytest
import shapes
from scipy.sparse.csgraph import minimum_spanning_tree

from surfora.orientation.agreement import (
    agreement,
    neighbour_graph,
    patches,
    smoothed_normals,
    spanning_tree,
    vote,
)
from surfora.orientation.jet_normals import jet_normals
from surfora.orientation.orient import orient_normals
from surfora.orientation.settings import OrientSettings
from tomocore.contract import InputError

CURVED = [
    shapes.sphere(12.0),
    shapes.torus(),
    shapes.invaginated_vesicle(),
    shapes.open_sphere(20.0),
    shapes.open_sphere(25.0, cap_deg=120.0, caps=1),
    shapes.open_cylinder(),
    shapes.catenoid(),
]


def axes_of(points):
    """Jet normals with random signs."""
    return clouds.with_lost_signs(jet_normals(points))


@pytest.mark.parametrize(("noise", "dropped"), [(0.0, 0.0), (0.3, 0.3)])
@pytest.mark.parametrize("shape", CURVED, ids=lambda shape: shape.name)
def test_curved_membranes_point_outward(shape, noise, dropped):
    points, true = clouds.cloud(shape, 1.4, noise, dropped)
    found = orient_normals(points, axes_of(points))
    assert clouds.share_right(found.normals, true) >= 0.999
    assert found.component.max() == 0
    assert found.confidence[0] > 0.5


@pytest.mark.parametrize("method", ["winding", "dipole"])
@pytest.mark.parametrize("wave", [0.0, 4.0], ids=["flat", "wavy"])
@pytest.mark.parametrize(("spacing", "noise", "dropped"), [(1.4, 0.0, 0.0), (1.2, 0.3, 0.0), (1.0, 0.3, 0.3)])
def test_two_layers_joined_along_an_edge_are_opposite(method, wave, spacing, noise, dropped):
    points, true = clouds.hairpin(gap=3.0, spacing=spacing, noise=noise, dropped=dropped, wave=wave)
    found = orient_normals(points, axes_of(points), OrientSettings(method=method))
    assert clouds.share_right(found.normals, true) >= 0.99
    on_sheets = points[:, 0] > 3.0
    assert clouds.share_right(found.normals[on_sheets], true[on_sheets]) >= 0.995


@pytest.mark.parametrize("method", ["winding", "dipole"])
@pytest.mark.parametrize("separation", [3.0, 5.0])
def test_two_flat_sheets_apart_point_away_from_each_other(method, separation):
    shape = shapes.apposed_sheets(separation)
    points, up = clouds.cloud(shape, 1.2, noise=0.2)
    upper = (points - shape.centre_nm) @ up[0] > 0
    found = orient_normals(points, axes_of(points), OrientSettings(method=method))
    assert clouds.share_right(found.normals, np.where(upper[:, None], up, -up)) >= 0.999


def test_curved_components_that_face_each_other_each_follow_their_own_rule():
    shape = shapes.apposed_spheres(separation_nm=7.0)
    points, outward = clouds.cloud(shape, 1.4, noise=0.2)
    axes = axes_of(points)
    found = orient_normals(points, axes)
    assert clouds.share_right(found.normals, outward) == 1.0
    layers = orient_normals(points, axes, OrientSettings(side="layers", closed_share=1.0))
    inner = np.linalg.norm(points - shape.centre_nm, axis=1) < 22
    assert clouds.share_right(layers.normals, np.where(inner[:, None], -outward, outward)) == 1.0
    assert set(layers.rule) == {"away from the layer it faces"}


def test_branching_membrane_has_no_flip_within_a_branch():
    points, true = clouds.cloud(shapes.branching_sheets(), 1.4, noise=0.15)
    found = orient_normals(points, axes_of(points))
    for direction in np.unique(true.round(6), axis=0):
        branch = np.isclose(true, direction, atol=1e-5).all(axis=1)
        share = clouds.share_right(found.normals[branch], true[branch])
        assert max(share, 1 - share) >= 0.98


def test_wavy_sheet_is_consistent_and_known_to_be_a_toss_up(caplog):
    points, true = clouds.cloud(shapes.wavy_sheet(amplitude_nm=6.0), 1.4, noise=0.2)
    with caplog.at_level(logging.WARNING):
        found = orient_normals(points, axes_of(points))
    assert clouds.share_right(found.normals, true) in (0.0, 1.0)
    assert found.confidence[0] < 0.2
    assert "too flat to tell" in caplog.text


def test_confidence_grows_with_the_sagitta():
    confidences = []
    for half_angle in (2.0, 8.0, 20.0):
        radius = 20.0 / np.sin(np.deg2rad(half_angle))
        cap = shapes.open_sphere(radius, cap_deg=180.0 - half_angle, caps=1)
        points, _ = clouds.cloud(cap, 1.4, noise=0.2)
        confidences.append(orient_normals(points, axes_of(points)).confidence[0])
    assert confidences[0] < 0.3
    assert confidences[2] > 0.7
    assert confidences == sorted(confidences)


def test_lumen_point_decides():
    shape = shapes.wavy_sheet()
    points, up = clouds.cloud(shape, 1.6)
    sheet_up = up.mean(axis=0) / np.linalg.norm(up.mean(axis=0))
    settings = OrientSettings(side="lumen")
    for side in (1, -1):
        lumen = shape.centre_nm - side * 15.0 * sheet_up
        found = orient_normals(points, axes_of(points), settings, lumen_point_nm=lumen)
        assert clouds.share_right(found.normals, side * up) == 1.0
        assert found.confidence[0] > 0.9


def test_partner_decides_toward_and_away():
    points, up = clouds.cloud(shapes.flat_sheet(), 1.6)
    partner = points[::7] + 10.0 * up[0]
    for side, sign in (("partner_toward", 1), ("partner_away", -1)):
        found = orient_normals(points, axes_of(points), OrientSettings(side=side), partner_points=partner)
        assert clouds.share_right(found.normals, sign * up) == 1.0
        assert found.confidence[0] > 0.9


def test_closed_membranes_point_outward_whatever_the_rule():
    shape = shapes.sphere(12.0)
    points, outward = clouds.cloud(shape, 1.4)
    settings = OrientSettings(side="partner_toward")
    found = orient_normals(points, axes_of(points), settings, partner_points=shape.centre_nm[None])
    assert clouds.share_right(found.normals, outward) == 1.0
    assert found.rule == ("outward: closed or nearly closed",)


def test_smoothing_averages_noise_of_single_normals():
    points, true = clouds.cloud(shapes.open_sphere(20.0), 1.4)
    noisy = true + np.random.default_rng(0).normal(0, 0.15, true.shape)
    noisy /= np.linalg.norm(noisy, axis=1, keepdims=True)
    smooth = smoothed_normals(neighbour_graph(points, 12, 4.0), noisy, 0.5, 2)
    errors = [np.arccos(np.einsum("ij,ij->i", found, true)).mean() for found in (noisy, smooth)]
    assert errors[1] < 0.5 * errors[0]


def test_points_without_a_plane_stay_unoriented_and_far_parts_are_components():
    sphere, outward = clouds.cloud(shapes.sphere(10.0), 1.4)
    points = np.concatenate([sphere, sphere + 60.0, np.outer(np.arange(12.0), [1, 1, 0]) - 90.0])
    axes = axes_of(points)
    axes[-12:] = np.nan
    found = orient_normals(points, axes)
    assert (found.component[-12:] == -1).all()
    assert np.isnan(found.normals[-12:]).all()
    assert len(found.confidence) == 2
    assert clouds.share_right(found.normals[:-12], np.tile(outward, (2, 1))) == 1.0


def test_same_seed_same_result():
    points, _ = clouds.hairpin(noise=0.3, dropped=0.3)
    axes = axes_of(points)
    one, two = (orient_normals(points, axes) for _ in range(2))
    assert np.array_equal(one.normals, two.normals)


@pytest.mark.parametrize("method", ["geodesic", "tangent_plane"])
def test_published_methods_orient_a_smooth_membrane(method):
    points, true = clouds.cloud(shapes.open_sphere(15.0), 1.4, noise=0.2)
    found = orient_normals(points, axes_of(points), OrientSettings(method=method))
    assert clouds.share_right(found.normals, true) == 1.0


def test_heat_method_survives_a_line_beside_a_membrane():
    sphere, outward = clouds.cloud(shapes.sphere(10.0), 1.6)
    line = np.outer(np.arange(40.0), [1, 0, 0]) + 80.0
    points = np.concatenate([sphere, line])
    axes = np.concatenate([clouds.with_lost_signs(outward), np.tile([0.0, 0, 1], (40, 1))])
    found = orient_normals(points, axes, OrientSettings(method="geodesic"))
    assert clouds.share_right(found.normals[: len(sphere)], outward) == 1.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"settings": OrientSettings(side="lumen")}, "lumen"),
        ({"settings": OrientSettings(side="partner_away")}, "partner"),
        ({"normals": np.zeros((3, 3))}, "normals"),
        ({"normals": np.full((50, 3), np.nan)}, "usable"),
    ],
)
def test_wrong_input_is_refused(change, message):
    points = np.random.default_rng(0).random((50, 3))
    arguments = {"points": points, "normals": np.tile([0.0, 0, 1], (50, 1))} | change
    with pytest.raises(InputError, match=message):
        orient_normals(**arguments)


def noisy_edges():
    points, true = clouds.cloud(shapes.sphere(8.0), 1.4, noise=0.3)
    graph = neighbour_graph(points, 8, 4.0)
    return agreement(graph, clouds.with_lost_signs(true)), true


def test_tree_is_the_maximum_spanning_tree():
    agreed, _ = noisy_edges()
    tree = spanning_tree(agreed, np.arange(agreed.graph.point_count))
    slow = minimum_spanning_tree(agreed.graph.matrix(2.0 - agreed.reliability))
    assert np.isclose(tree.link[tree.parent >= 0].sum(), (2.0 - slow.data).sum())
    assert sorted(tree.order) == list(range(agreed.graph.point_count))


def test_tree_signs_multiply_along_the_links():
    agreed, _ = noisy_edges()
    tree = spanning_tree(agreed, np.arange(agreed.graph.point_count))
    links = {}
    for one, other, sign in zip(agreed.graph.first, agreed.graph.second, agreed.sign, strict=True):
        links[one, other] = links[other, one] = sign
    for point in tree.order[1:]:
        parent = tree.parent[point]
        assert tree.sign[point] == tree.sign[parent] * links[point, parent]


def test_vote_mends_single_flips():
    agreed, true = noisy_edges()
    signs = spanning_tree(agreed, np.arange(len(true))).sign
    spoilt = signs.copy()
    spoilt[::9] *= -1
    assert np.array_equal(vote(agreed, spoilt, 20, 0), signs)


def test_patches_are_cut_at_the_fold_and_never_tiny():
    points, true = clouds.hairpin(spacing=1.5)
    agreed = agreement(neighbour_graph(points, 12, 4.0), jet_normals(points))
    labels = patches(spanning_tree(agreed, np.arange(len(points))))
    assert labels.max() >= 1
    assert np.bincount(labels).min() >= 8
    big = np.argsort(np.bincount(labels))[-2:]
    ups = [np.sign(true[labels == label] @ [0, 0, 1]).mean() for label in big]
    assert ups[0] * ups[1] < -0.8


def test_smoothing_leaves_equal_normals_alone():
    points, true = clouds.cloud(shapes.flat_sheet(20.0, 20.0), 1.4)
    graph = neighbour_graph(points, 10, 4.0)
    assert np.allclose(smoothed_normals(graph, true, 0.5, 5), true)


def test_points_given_twice_are_oriented_as_given_once():
    way = np.random.default_rng(0).normal(size=(1000, 3))
    points = 20 * way / np.linalg.norm(way, axis=1, keepdims=True) + (50.0, -30.0, 10.0)
    axes = axes_of(points)
    once = orient_normals(points, axes)
    twice = orient_normals(np.vstack([points, points]), np.vstack([axes, axes]))
    for half in (twice.normals[:1000], twice.normals[1000:]):
        np.testing.assert_allclose(half, once.normals, atol=1e-9)
        assert (np.einsum("ij,ij->i", half, way) > 0).all()
    np.testing.assert_allclose(jet_normals(np.vstack([points, points]))[1000:], jet_normals(points))


@pytest.mark.parametrize(
    ("points", "said"),
    [
        (np.arange(30.0)[:, None] * (1, 2, 3), "lie on a line"),
        (np.ones((30, 3)), "at least 4 points in different places"),
        (np.eye(3), "at least 4 points in different places"),
    ],
)
def test_points_that_make_no_surface(points, said):
    with pytest.raises(InputError, match=said):
        orient_normals(points, jet_normals(points))
