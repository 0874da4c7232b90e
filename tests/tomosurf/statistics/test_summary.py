"""The unit of a statistic is the tomogram."""

import numpy as np
import pandas as pd
import pytest

from tomosurf.statistics import summary_over_tomograms


def test_mean_of_means_not_of_places():
    table = pd.DataFrame({"tomogram": ["a"] * 9 + ["b"], "gap_nm": [1.0] * 9 + [3.0]})
    (row,) = summary_over_tomograms(table, ["gap_nm"]).to_dict("records")
    assert row["mean"] == pytest.approx(2.0)
    assert (row["places"], row["tomograms"]) == (10, 2)


def test_interval_covers_the_truth_as_often_as_it_says_and_triangles_would_not():
    rng = np.random.default_rng(3)
    covered = 0
    for _ in range(40):
        centres = rng.normal(10, 2, size=12)
        rows = [(f"t{k}", value) for k, c in enumerate(centres) for value in rng.normal(c, 0.2, size=5)]
        (row,) = summary_over_tomograms(pd.DataFrame(rows, columns=["tomogram", "x"]), ["x"]).to_dict(
            "records"
        )
        covered += row["low"] <= 10 <= row["high"]
    assert covered >= 33  # 95 % nominal; as independent places the interval would cover about half


def test_one_tomogram_has_no_interval_and_missing_values_are_left_out():
    table = pd.DataFrame({"tomogram": ["a", "a", "b"], "x": [1.0, 3.0, np.nan]})
    (row,) = summary_over_tomograms(table, ["x"]).to_dict("records")
    assert row["mean"] == 2.0
    assert np.isnan(row["low"])
    assert row["tomograms"] == 1
