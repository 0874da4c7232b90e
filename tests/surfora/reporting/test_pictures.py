"""Pictures are true to scale, their limits fit the values, and their captions say what the colours mean."""

import matplotlib
import numpy as np
import pytest
import shapes

from surfora.geometry.surface import SurfaceMesh
from surfora.reporting.pictures import (
    DISTANCE_COLOURS,
    histogram_span,
    overview_figure,
    shared_start,
    surface_figure,
    symmetric_limits,
)


def ellipsoid(semi_axes_nm):
    """An ellipsoid about (30, -20, 10), axes along x, y and z."""
    vertices, faces = shapes.ellipsoid(semi_axes_nm, seed=None).mesh(3.0)
    return SurfaceMesh(vertices + np.array([30.0, -20.0, 10.0]), faces)


def panel_widths_nm(panel):
    """Width and height in nm of what a panel shows, by its own scale bar."""
    image = panel.images[0].get_array()
    (bar,) = panel.lines
    length_px = float(np.ptp(bar.get_xdata()))
    nm_per_pixel = float(panel.texts[0].get_text().removesuffix(" nm")) / length_px
    drawn = np.argwhere((np.asarray(image) < 250).any(axis=2))
    height, width = np.ptp(drawn, axis=0) + 1
    return width * nm_per_pixel, height * nm_per_pixel


def test_scale_bars_are_true_in_both_views():
    mesh = ellipsoid((40.0, 25.0, 10.0))
    figure = surface_figure(mesh, np.zeros(len(mesh.vertices)), "value", "viridis", (0.0, 1.0))
    along_z, side = figure.axes[:2]
    assert panel_widths_nm(along_z) == pytest.approx((80, 50), rel=0.03)
    assert max(panel_widths_nm(side)) < 80  # seen obliquely
    assert not np.array_equal(along_z.images[0].get_array(), side.images[0].get_array())


def test_an_overview_shows_every_surface_at_its_place():
    near, far = ellipsoid((10.0, 10.0, 10.0)), ellipsoid((10.0, 10.0, 10.0))
    far = SurfaceMesh(far.vertices + np.array([60.0, 0.0, 0.0]), far.faces)
    figure = overview_figure([("near", [near]), ("far", [far])])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["near", "far"]
    assert panel_widths_nm(figure.axes[0])[0] == pytest.approx(80, rel=0.03)


def test_close_is_bright():
    def lightness(value):
        return sum(matplotlib.colormaps[DISTANCE_COLOURS](value)[:3])

    assert lightness(0.0) > 2 * lightness(1.0)


def test_curvature_limits_keep_values_of_one_sign_off_the_dark_ends():
    rng = np.random.default_rng(0)
    assert symmetric_limits(rng.normal(0, 1, 9999))[1] == pytest.approx(1.96, rel=0.05)
    assert symmetric_limits(np.full(10, -0.02)) == pytest.approx((-0.03, 0.03))
    assert symmetric_limits(np.full(3, np.nan)) == (-1, 1)


def test_histograms_show_all_but_the_last_hundredth():
    values = np.linspace(0.02, 0.03, 101)
    low, high = histogram_span(values)
    assert low < 0.0202 < 0.0298 < high
    assert histogram_span(np.linspace(10, 90, 50))[0] == 0
    assert histogram_span(np.full(4, np.nan)) == (0, 1)
    one = histogram_span(np.full(4, -3.0))
    assert one[0] < -3 < one[1]


@pytest.mark.parametrize(
    ("names", "start"),
    [
        (["te1_labels_OMM", "te1_labels_IMM"], len("te1_labels_")),
        (["t1_2_roi003", "t1_24_roi003"], len("t1_")),
        (["a", "a"], 0),
        (["mito", "er"], 0),
    ],
)
def test_what_all_names_begin_with(names, start):
    assert shared_start(names) == start
