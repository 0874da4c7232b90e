"""The curvature in the truth tables against closed forms."""

import numpy as np
import pytest

from tomorois.phantoms.shapes import Grid, sphere
from tomorois.phantoms.truth import contact_truth, mean_curvature_per_nm


def test_mean_curvature_of_a_sphere_is_positive_outward():
    surface = sphere(np.array([100.0, 50.0, 30.0]), 40.0)
    points, _ = surface.samples(3.0)
    np.testing.assert_allclose(mean_curvature_per_nm(surface, points), 1 / 40, rtol=1e-4)


def test_a_contact_knows_the_curvature_of_both_sides():
    """Spheres of 20 and 30 nm, 15 nm apart, off the grid's axes."""
    way = np.array([0.6, 0.64, 0.48])
    start = np.array([55.0, 52.0, 60.0])
    surfaces = [sphere(start, 20.0), sphere(start + 65.0 * way, 30.0)]
    rois, _ = contact_truth(surfaces, Grid((90, 90, 90), 1.5), 30.0, 4.0)
    (row,) = rois.table.to_dict("records")
    assert row["mean_curvature_a_per_nm"] == pytest.approx(1 / 20, rel=1e-3)
    assert row["mean_curvature_b_per_nm"] == pytest.approx(1 / 30, rel=1e-3)
    assert row["gap_min_nm"] == pytest.approx(15.0, abs=0.05)
