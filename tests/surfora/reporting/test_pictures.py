"""Pictures are true to scale, their limits fit the values, and their captions say what the colours mean."""

import matplotlib
import numpy as np
import pandas as pd
import pytest
import shapes

from surfora.geometry.surface import SurfaceMesh
from surfora.reporting.pictures import (
    DISTANCE_COLOURS,
    contact_rank_figure,
    histogram_span,
    overview_figure,
    plain_text,
    surface_figure,
    symmetric_limits,
)
from tomocore.page import picture_of


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


@pytest.mark.parametrize("count", [16, 40])
def test_names_of_many_surfaces_stay_in_the_picture(count):
    ball = ellipsoid((10.0, 10.0, 10.0))
    name = "membrane of a longer name, as people give them, no {:02}"
    figure = overview_figure([(name.format(k), [ball]) for k in range(count)])
    figure.canvas.draw()
    legend = figure.legends[0].get_window_extent()
    assert legend.x1 <= figure.bbox.x1
    assert legend.y0 >= figure.bbox.y0
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names[:15] == [name.format(k) for k in range(15)]
    assert names[15] == (name.format(15) if count == 16 else "and 25 more")


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


def distance_rows(count, stem="t1"):
    """Both ways of contacts 1, 2, ... between labels 2 and 5, at 20 nm, 21 nm, ... ± 5 nm, closest last."""
    rows = []
    for roi in range(1, count + 1):
        for label, target in (("2", "5"), ("5", "2")):
            row = {"name": f"{stem}_{label}_roi{roi:03d}", "kind": "medial", "label": label, "roi": roi}
            row |= {
                "target": f"{stem}_{target}_roi{roi:03d}",
                "target_kind": "medial",
                "target_label": target,
            }
            row |= {"area_measured_nm2": 100.0, "mean_nm": 20.0 + count - roi, "sd_nm": 5.0, "min_nm": 9.0}
            row |= {"contact_area_nm2": 60.0, "contact_mean_nm": 15.0, "contact_sd_nm": 2.0}
            rows.append(row)
    return pd.DataFrame(rows)


def test_few_contacts_are_named_in_words_closest_first():
    axes = contact_rank_figure(distance_rows(3)).axes[0]
    names = [text.get_text() for text in axes.get_yticklabels()]
    assert names == [f"contact {roi}: membranes 2 and 5" for roi in (3, 2, 1)]
    assert "20.0 ± 5.0" in [text.get_text() for text in axes.texts]
    assert "(nm)" in axes.get_xlabel()
    top, bottom = axes.get_ylim()[::-1]
    assert top < bottom  # the closest stands at the top


def test_many_contacts_are_a_curve_over_their_ranks():
    axes = contact_rank_figure(distance_rows(40)).axes[0]
    assert axes.lines[0].get_ydata().tolist() == [20.0 + k for k in range(40)]
    assert "closest first (of 40)" in axes.get_xlabel()


def test_a_long_name_does_not_cut_its_figure():
    figure = contact_rank_figure(distance_rows(2).assign(label="a" * 200, target_label="b" * 200))
    figure.draw_without_rendering()
    axes = figure.axes[0]
    assert axes.get_position().width > 0.3
    assert axes.yaxis.get_ticklabels()[0].get_window_extent().x0 >= 0


def test_names_are_not_taken_for_tex():
    assert plain_text("A$B$") == "A$B$"
    figure = overview_figure([("$x^$", [ellipsoid((5.0, 5.0, 5.0))]), ("_y", [ellipsoid((6.0, 5.0, 5.0))])])
    assert picture_of(figure).pngs[0]
    assert len(figure.legends[0].get_texts()) == 2
