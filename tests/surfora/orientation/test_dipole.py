"""Winding numbers and dipole influence against closed forms and slow twins."""

import clouds
import numpy as np
import shapes

from surfora.orientation.agreement import agreement, neighbour_graph, spanning_tree
from surfora.orientation.dipole import (
    _flip_branches,
    _influence,
    _mutual_fields,
    _pieces,
    dipole_signs,
    point_areas,
    settle_patches,
    winding,
)
from surfora.orientation.jet_normals import jet_normals


def test_areas_add_up_to_the_surface():
    for shape, excess in ((shapes.torus(), 0.07), (shapes.open_sphere(20.0), 0.2)):
        points, _ = clouds.cloud(shape, 1.2)
        ratio = point_areas(points).sum() / shape.area_nm2
        assert 1 - 0.05 < ratio < 1 + excess  # points at a rim stand for a little more than their share


def test_winding_number_of_a_sphere_and_of_a_disc():
    shape = shapes.sphere(12.0)
    points, outward = shape.sample(spacing_nm=1.0)
    moments = outward * (shape.area_nm2 / len(points))
    whole = np.zeros(len(points), dtype=np.int64)
    targets = shape.centre_nm + np.array([[0, 0, 0], [3, 5, -4], [0, 20, 0]])
    assert np.allclose(winding(targets, points, moments, whole, 0.5)[:, 0], [1, 1, 0], atol=0.02)
    assert np.isclose(winding(points, points, moments, whole, 0.5).mean(), 0.5, atol=0.03)

    x, y = np.meshgrid(np.arange(-20, 20.1, 0.5), np.arange(-20, 20.1, 0.5))
    inside = x**2 + y**2 < 20**2
    disc = np.column_stack([x[inside], y[inside], 0 * x[inside]])
    moments = np.tile([0, 0, 0.25], (len(disc), 1))
    behind = np.array([[0.0, 0, -10.0], [0, 0, 10.0]])
    solid = 0.5 * (1 - 10 / np.hypot(10, 20))  # share of the sphere of directions that the disc fills
    found = winding(behind, disc, moments, np.zeros(len(disc), np.int64), 0.1)[:, 0]
    assert np.allclose(found, [solid, -solid], rtol=0.02)


def test_winding_is_split_by_label():
    random = np.random.default_rng(0)
    points, moments = random.normal(size=(2, 30, 3))
    labels = random.integers(0, 3, 30)
    targets = random.normal(size=(5, 3)) * 4
    step = points[None] - targets[:, None]
    terms = np.einsum("jk,tjk->tj", moments, step) / ((step**2).sum(-1) + 0.04) ** 1.5 / (4 * np.pi)
    slow = np.column_stack([terms[:, labels == label].sum(axis=1) for label in range(3)])
    assert np.allclose(winding(targets, points, moments, labels, 0.2), slow)


def test_influence_equals_the_dipole_field():
    random = np.random.default_rng(1)
    points, moments = random.normal(size=(2, 2, 3)) * [[[5]], [[1]]]
    r = points[1] - points[0]
    distance = np.linalg.norm(r)
    unit = r / distance
    field = (3 * (moments[1] @ unit) * unit - moments[1]) / distance**3
    assert np.isclose(_influence(points, moments, 0, 1, 1e-6), -moments[0] @ field)


def test_an_endless_sheet_has_no_influence_across_a_gap():
    x, y = np.meshgrid(np.arange(-150, 150.1), np.arange(-150, 150.1))
    points = np.column_stack([x.ravel(), y.ravel(), 0 * x.ravel()])
    points = np.concatenate([[[0.3, 0.2, 3.0]], points])
    moments = np.tile([0, 0, 1.0], (len(points), 1))
    total = sum(_influence(points, moments, 0, j, 1.0) for j in range(1, len(points)))
    assert total < 0  # the rim's: opposite normals are favoured, never equal ones
    assert abs(total) < 0.06


def test_mutual_fields_equal_the_sum_over_pairs_where_patches_are_near():
    random = np.random.default_rng(2)
    points, moments = random.normal(size=(2, 24, 3))
    by_patch, start = np.arange(24), np.array([0, 8, 16, 24])
    slow = np.zeros((3, 3))
    for i in range(24):
        for j in range(24):
            if i // 8 != j // 8:
                slow[i // 8, j // 8] += _influence(points, moments, i, j, 0.3)
    assert np.allclose(_mutual_fields(points, moments, by_patch, start, 0.3), slow)


def test_far_patches_act_nearly_as_one_dipole():
    random = np.random.default_rng(3)
    points = random.normal(size=(16, 3))
    points[8:] += [30, 0, 0]
    moments = np.tile([0.2, 0.1, 1.0], (16, 1))
    far = _mutual_fields(points, moments, np.arange(16), np.array([0, 8, 16]), 0.3)[0, 1]
    exact = sum(_influence(points, moments, i, j, 0.3) for i in range(8) for j in range(8, 16))
    assert np.isclose(far, exact, rtol=0.1)


def test_pieces_are_connected_and_large_enough():
    order = np.arange(100)
    parent = np.maximum(order - 1, -1)
    parent[50] = -1
    labels = _pieces(order, parent, 16)
    assert not set(labels[:50]) & set(labels[50:])
    sizes = dict(zip(*np.unique(labels, return_counts=True), strict=True))
    assert len(sizes) > 4
    assert all(size >= 16 for label, size in sizes.items() if label not in (0, 50))


def test_branches_flip_until_all_agree():
    signs = np.array([1.0, 1, -1, -1, 1])
    mutual = np.outer(signs, signs) * np.exp(-np.abs(np.subtract.outer(np.arange(5), np.arange(5))))
    np.fill_diagonal(mutual, 0)
    found = _flip_branches(mutual, np.ones(5))
    assert np.array_equal(found * found[0], signs)


def test_dipoles_orient_a_cloud_patch_by_patch():
    points, true = clouds.cloud(shapes.invaginated_vesicle(), 1.6, noise=0.2)
    axes = clouds.with_lost_signs(jet_normals(points))
    tree = spanning_tree(agreement(neighbour_graph(points, 12, 4.0), axes), np.arange(len(points)))
    share = clouds.share_right(axes * dipole_signs(points, axes, point_areas(points), tree)[:, None], true)
    assert max(share, 1 - share) > 0.999


def test_settling_turns_over_a_layer_that_the_winding_number_contradicts():
    points, true = clouds.hairpin(spacing=1.5)
    upper = points[:, 2] > 0
    wrong = np.where(upper[:, None], true, -true)
    agreed = agreement(neighbour_graph(points, 12, 4.0), wrong)
    moments = wrong * point_areas(points)[:, None]
    settled = settle_patches(points, moments, (~upper).astype(int), agreed, np.ones(len(points)))
    assert settled[0] * settled[1] == -1
