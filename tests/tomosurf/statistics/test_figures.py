"""What figures show: numbers on them are those of the tables."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from tomocore.columns import Column
from tomosurf.statistics.compare import compare_samples
from tomosurf.statistics.contact_figures import (
    areas_by_threshold,
    bin_edges,
    histogram_figure,
    ranked_figure,
    threshold_figure,
)
from tomosurf.statistics.figures import (
    COLOURS,
    condition_figure,
    effects_figure,
    pairs_figure,
    power_figure,
)
from tomosurf.statistics.hierarchy import Sample, TomogramValues
from tomosurf.statistics.measures import Measure


def sample(condition, means, seed=0):
    rng = np.random.default_rng(seed)
    tomograms = [TomogramValues(f"{condition}{k}", m + rng.normal(0, 0.1, 5)) for k, m in enumerate(means)]
    return Sample(condition, tuple(tomograms))


@pytest.fixture
def gap():
    rows = pd.DataFrame(
        {
            "tomogram": ["a", "a", "b", "c"],
            "condition": ["wt", "wt", "wt", "ko"],
            "gap_nm": [10.0, 20.0, 20.0, 30.0],
            "area_nm2": [3.0, 1.0, 1.0, 5.0],
        }
    )
    return Measure("gap_nm", Column("gap_nm", "gap", "nm"), "contacts", "", rows, "area_nm2")


def test_a_dot_a_tomogram_and_all_contacts_in_the_data(gap):
    samples = [sample("wt", [1, 2, 3]), sample("ko", [3, 4])]
    drawn = condition_figure(gap, samples, "note")
    (axes,) = drawn.figure.axes
    large = [c for c in axes.collections if to_hex(c.get_facecolor()[0]).upper() in COLOURS[:2]]
    dots = [np.sort(c.get_offsets()[:, 1]) for c in large if len(c.get_offsets()) in (2, 3)]
    assert any(np.allclose(heights, np.sort(samples[0].means)) for heights in dots)
    assert axes.get_title(loc="left") == "note"
    assert [t.get_text() for t in axes.get_xticklabels()] == ["wt\n3 tomograms", "ko\n2 tomograms"]
    assert len(drawn.data) == 25
    assert axes.get_ylabel() == "gap (nm)"


def test_a_condition_without_tomograms_leaves_its_place_empty(gap):
    drawn = condition_figure(gap, [sample("wt", [1, 2]), Sample("ko", ())])
    assert set(drawn.data["condition"]) == {"wt"}


def test_effects_and_power_are_those_of_the_comparison(gap):
    comparison = compare_samples(sample("wt", [1, 2, 3]), sample("ko", [3, 4, 5]), np.random.default_rng(0))
    effects = effects_figure([(gap, comparison)])
    assert effects.data["hedges_g"].tolist() == [comparison.hedges_g.value]
    assert "ko less wt" in effects.figure.axes[0].get_xlabel()
    power = power_figure([(gap, comparison)])
    enough = power.data[power.data["power"] >= 0.8]["tomograms"].min()
    assert enough == pytest.approx(comparison.needed_80, abs=1)
    assert (np.diff(power.data["power"]) > -1e-9).all()


def test_nothing_known_still_draws(gap):
    comparison = compare_samples(sample("wt", [1]), sample("ko", [3]), np.random.default_rng(0))
    assert effects_figure([(gap, comparison)]).data.empty
    assert power_figure([(gap, comparison)]).data.empty


def test_pairs_are_those_of_tomograms_with_both():
    inside = sample("wt", [2, 4])
    outside = Sample("wt", inside.tomograms[:1])
    drawn = pairs_figure("H", "1/nm", "h", ("outside", "at contacts"), [(outside, inside)])
    assert len(drawn.data) == 1
    assert drawn.stem == "h_within_tomograms"


def test_contacts_are_ranked_within_their_condition(gap):
    table = gap.rows.assign(sd=1.0)
    drawn = ranked_figure(table, "condition", ["wt", "ko"], "gap_nm", "sd")
    assert drawn.data["rank"].tolist() == [1, 2, 3, 1]
    assert drawn.data["gap_nm"].tolist() == [10, 20, 20, 30]


def test_shares_are_weighted_by_area_and_each_tomogram_counts_once(gap):
    drawn = histogram_figure(gap, "condition", ["wt", "ko"])
    lowest = drawn.data[drawn.data["from"] == 10.0].set_index("tomogram")["area_share"]
    assert lowest["a"] == pytest.approx(0.75)
    assert lowest["b"] == 0
    assert drawn.data.groupby("tomogram")["area_share"].sum().tolist() == pytest.approx([1, 1, 1])


def test_areas_by_threshold_are_linear_between_and_zero_without_contacts():
    curve = pd.DataFrame(
        {
            "tomogram": ["a", "a", "b"],
            "contact_distance_nm": [10.0, 20.0, 20.0],
            "contact_area_nm2": [4.0, 8.0, 6.0],
        }
    )
    listed = pd.DataFrame({"tomogram": ["a", "b", "c"], "condition": ["x", "x", "y"]})
    areas = areas_by_threshold(curve, listed, "condition")
    wide = areas.pivot_table(index="tomogram", columns="contact_distance_nm", values="area_nm2")
    assert wide.columns.tolist() == [0.0, 10.0, 20.0]
    assert wide.loc["a"].tolist() == [0, 4, 8]
    assert wide.loc["b"].tolist() == [0, 3, 6]
    assert wide.loc["c"].tolist() == [0, 0, 0]


def test_bins_hold_all_values():
    values = np.random.default_rng(0).normal(size=50)
    edges = bin_edges(values)
    assert edges[0] == values.min()
    assert edges[-1] == values.max()
    assert 6 <= len(edges) - 1 <= 24


def test_a_curve_a_tomogram():
    areas = pd.DataFrame(
        {
            "tomogram": ["a", "a", "b", "b"],
            "condition": "wt",
            "contact_distance_nm": [0.0, 10.0] * 2,
            "area_nm2": [0.0, 2000.0, 0.0, 4000.0],
        }
    )
    drawn = threshold_figure(areas, "condition", ["wt", "ko"])
    mean = next(line for line in drawn.figure.axes[0].lines if line.get_label().startswith("wt"))
    assert mean.get_ydata().tolist() == [0.0, 3.0]
