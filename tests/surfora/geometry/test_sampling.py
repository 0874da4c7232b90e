import numpy as np
import pytest
import shapes
from scipy.spatial import cKDTree

from surfora.geometry.sampling import poisson_disc
from tomocore.contract import InputError


def slowly(points, radius, turn):
    kept = []
    for i in turn:
        limits = 0.5 * (radius[i] + radius[kept]) if kept else np.empty(0)
        if np.all(np.linalg.norm(points[kept] - points[i], axis=1) >= limits):
            kept.append(i)
    return np.sort(kept)


def test_equals_its_slow_twin_with_graded_radii_and_priorities():
    random = np.random.default_rng(1)
    points = random.uniform(-20, 30, (600, 3)) * [1.0, 0.5, 0.1]
    radius = random.uniform(1.0, 4.0, 600)
    order = random.permutation(600).astype(float)
    kept = poisson_disc(points, radius, order)
    assert np.array_equal(kept, slowly(points, radius, np.argsort(-order)))


def test_uniform_spacing_is_kept_and_covers():
    points, _ = shapes.torus().sample(30_000, seed=1)
    kept = poisson_disc(points, 1.5, seed=4)
    tree = cKDTree(points[kept])
    assert tree.query(points[kept], 2)[0][:, 1].min() >= 1.5
    assert tree.query(points)[0].max() < 1.5
    assert np.array_equal(kept, poisson_disc(points, 1.5, seed=4))
    assert not np.array_equal(kept, poisson_disc(points, 1.5, seed=5))


def test_the_order_decides_who_stays():
    points = np.array([[0.0, 0, 0], [0.5, 0, 0], [1.0, 0, 0]])
    assert poisson_disc(points, 0.7, [0, 1, 0]).tolist() == [1]
    assert poisson_disc(points, 0.7, [1, 0, 1]).tolist() == [0, 2]


def test_points_of_one_place_leave_one():
    assert len(poisson_disc(np.ones((50, 3)), 0.1)) == 1


def test_no_points_leave_none():
    assert len(poisson_disc(np.empty((0, 3)), 1.0)) == 0


@pytest.mark.parametrize("radius", [0.0, -1.0, np.nan])
def test_a_radius_that_is_none_is_refused(radius):
    with pytest.raises(InputError, match="radius"):
        poisson_disc(np.zeros((3, 3)), radius)
