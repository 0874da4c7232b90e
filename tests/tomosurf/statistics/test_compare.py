"""Two conditions compared: planted differences, grids as blocks and as units, too few tomograms, pairs."""

import numpy as np
import pandas as pd
import pytest

from tomosurf.statistics.compare import (
    TOO_FEW,
    WITHIN,
    compare_conditions,
    compare_pairs,
    compare_samples,
    comparison_table,
)
from tomosurf.statistics.design import design_of
from tomosurf.statistics.hierarchy import Sample, TomogramValues, samples_of


def rng(seed=0):
    return np.random.default_rng(seed)


def sample(condition, means, grids=None, contacts=4, seed=0):
    """Tomograms of given means, each with as many contacts that scatter by 0.1."""
    draws = rng(seed)
    tomograms = []
    for k, mean in enumerate(means):
        values = draws.normal(0, 0.1, contacts)
        grid = grids[k] if grids else ""
        tomograms.append(TomogramValues(f"{condition}{k}", values - values.mean() + mean, grid))
    return Sample(condition, tuple(tomograms))


def test_a_planted_difference():
    found = compare_samples(
        sample("wt", [20, 21, 22, 19, 20]), sample("ko", [23, 24, 25, 22, 23], seed=1), rng()
    )
    assert found.names == ("wt", "ko")
    assert found.difference.value == pytest.approx(3.0)
    assert 1.0 < found.difference.low < 3.0 < found.difference.high < 5.0
    assert found.ratio.value == pytest.approx(23.4 / 20.4)
    assert found.hedges_g.value > 2
    assert found.test.p == pytest.approx(2 / 252, abs=0.02)
    assert found.needed_80 <= 5
    assert found.detectable == pytest.approx(2.4, abs=0.3)
    assert found.row()["places_first"] == 20


def test_contacts_of_one_tomogram_do_not_make_it_surer():
    """A hundred contacts in each of three tomograms: still three tomograms."""
    few, many = (
        compare_samples(sample("a", [1, 2, 3], contacts=c), sample("b", [2, 3, 4], contacts=c, seed=1), rng())
        for c in (2, 100)
    )
    assert many.test.p == few.test.p >= 0.1
    widths = [found.difference.high - found.difference.low for found in (few, many)]
    assert widths[1] == pytest.approx(widths[0], rel=0.1)


def test_fewer_than_two_tomograms_have_a_difference_and_no_p():
    found = compare_samples(sample("a", [1, 2, 3]), sample("b", [2]), rng())
    assert found.test is None
    assert found.difference.value == 0.0
    assert np.isnan(found.difference.low)
    assert found.cautions == (TOO_FEW,)
    empty = compare_samples(sample("a", []), sample("b", []), rng())
    assert np.isnan(empty.difference.value)
    assert "no tomogram" in empty.row()["caution"]


GRIDS = ["g1", "g1", "g2", "g2", "g3", "g3"]
OFFSET = {"g1": 0.0, "g2": 50.0, "g3": -30.0}


def test_grids_with_both_conditions_are_blocks_and_their_own_effect_is_taken_out():
    base = np.array([0.0, 0.3, 0.1, 0.2, -0.1, 0.25])
    offsets = np.array([OFFSET[g] for g in GRIDS])
    a, b = sample("a", 20 + base + offsets, GRIDS), sample("b", 21 + base[::-1] + offsets, GRIDS, seed=1)
    found = compare_samples(a, b, rng())
    assert found.difference.value == pytest.approx(1.0)
    assert found.difference.high - found.difference.low < 1.0
    assert found.test.p == found.test.smallest == 2 / 6**3
    assert found.means[1] - found.means[0] == pytest.approx(1.0)
    untold = compare_samples(*(without_grids(s) for s in (a, b)), rng())
    assert untold.difference.low < -20


def without_grids(of):
    return Sample(of.condition, tuple(TomogramValues(t.name, t.values) for t in of.tomograms))


def test_the_estimate_within_blocks_is_that_of_least_squares():
    """Unbalanced: two and one, one and three."""
    a = sample("a", [1.0, 2.0, 11.0], ["x", "x", "y"])
    b = sample("b", [4.0, 12.0, 13.0, 17.0], ["x", "y", "y", "y"])
    design = design_of(a, b)
    within = {"x": 4.0 - 1.5, "y": 14.0 - 11.0}
    weights = {"x": 2 * 1 / 3, "y": 1 * 3 / 4}
    expected = sum(weights[g] * within[g] for g in within) / sum(weights.values())
    first, second = design.means
    assert second.mean() - first.mean() == pytest.approx(expected)
    assert design.spread.freedom == 7 - 2 - 1


def test_grids_within_conditions_are_the_units():
    a = sample("a", [1, 1, 5, 5, 3, 3], GRIDS)
    b = sample("b", [2, 2, 6, 6, 4, 4], [g.replace("g", "h") for g in GRIDS], seed=1)
    found = compare_samples(a, b, rng())
    assert (found.unit, found.units, found.tomograms) == ("grid", (3, 3), (6, 6))
    assert found.test.smallest == 0.1
    assert "grids are the units" in found.cautions[0]
    ignored = compare_samples(a, b, rng(), "tomogram")
    assert ignored.unit == "tomogram"
    assert "grids differ" in ignored.cautions[0]
    assert found.difference.high - found.difference.low > ignored.difference.high - ignored.difference.low


def test_what_grids_cannot_tell_is_told():
    one = compare_samples(sample("a", [1, 2, 3], ["x"] * 3), sample("b", [2, 3, 4], ["y"] * 3), rng())
    assert "cannot be told from the condition" in one.cautions[0]
    partly = compare_samples(sample("a", [1, 2], ["x", ""]), sample("b", [2, 3], ["x", "x"]), rng())
    assert "not known" in partly.cautions[0]
    lone = design_of(sample("a", [1, 2, 3], ["x", "x", "z"]), sample("b", [2, 3], ["x", "x"]))
    assert lone.cautions[0].startswith("1 tomograms of grids")
    assert design_of(sample("a", [1, 2], ["x", "x"]), sample("b", [2, 3], ["x", "x"])).cautions == ()


def test_pairs_within_tomograms_see_what_a_comparison_between_does_not():
    base = [10.0, 50.0, 30.0, 90.0, 70.0, 20.0]
    inside, outside = sample("inside", base), sample("outside", [b + 1 for b in base], seed=1)
    outside = Sample(
        "outside",
        tuple(TomogramValues(t.name.replace("outside", "inside"), t.values) for t in outside.tomograms),
    )
    found = compare_pairs(inside, outside, rng())
    assert found.kind == WITHIN
    assert found.difference.value == pytest.approx(1.0)
    assert found.test.p == 2 / 64
    assert compare_samples(inside, outside, rng()).test.p > 0.5


def test_pairs_need_both_sides_in_a_tomogram():
    a = Sample("a", (TomogramValues("t1", np.array([1.0])), TomogramValues("t2", np.array([2.0]))))
    b = Sample("b", (TomogramValues("t2", np.array([3.0])), TomogramValues("t3", np.array([2.0]))))
    assert compare_pairs(a, b, rng()).test is None


def test_samples_leave_out_missing_values_and_the_tomograms_without_any():
    table = pd.DataFrame(
        {
            "tomogram": ["t1", "t1", "t2", "t3"],
            "condition": ["wt", "wt", "wt", "ko"],
            "grid": ["g1", "g1", None, "g2"],
            "gap_nm": [1.0, np.nan, np.nan, 4.0],
        }
    )
    wt, ko = samples_of(table, "gap_nm", "condition", ["wt", "ko"])
    assert [t.name for t in wt.tomograms] == ["t1"]
    assert wt.tomograms[0].values.tolist() == [1.0]
    assert ko.grids == ("g2",)


def test_all_pairs_or_each_against_one_and_corrections_over_all():
    samples = [sample(c, [k, k + 1, k + 2, k + 1.5], seed=k) for k, c in enumerate("abc")]
    assert [c.names for c in compare_conditions(samples, rng())] == [("a", "b"), ("a", "c"), ("b", "c")]
    against = compare_conditions(samples, rng(), reference="b")
    assert [c.names for c in against] == [("b", "a"), ("b", "c")]
    table = comparison_table([({"measure": "x"}, c) for c in compare_conditions(samples, rng())])
    assert (table["p_holm"] >= table["p"]).all()
    assert (table["p_bh"] <= table["p_holm"]).all()
    assert next(iter(table)) == "measure"
