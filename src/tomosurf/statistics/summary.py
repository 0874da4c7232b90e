"""Measures over all tomograms of a project: the mean of the tomograms' means and its interval."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from tomosurf.statistics.hierarchy import TOMOGRAM, samples_of
from tomosurf.statistics.resampling import interval_of_mean

ALL = "all"


def summary_over_tomograms(table: pd.DataFrame, measures: Sequence[str], seed: int = 0) -> pd.DataFrame:
    """A row a measure: how many ROIs and tomograms, the mean of the tomograms' means, and its 95 % interval.

    ``table`` has a row a ROI (or surface) and a column "tomogram". The interval is that of
    `tomosurf.statistics.resampling`, which resamples tomograms and, within each, its rows, since places in
    one tomogram are not independent; it is NaN with fewer than two tomograms.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for measure in measures:
        (sample,) = samples_of(table.assign(**{ALL: ALL}), measure, ALL, [ALL])
        if not sample.tomograms:
            continue
        low, high = interval_of_mean(sample.units(TOMOGRAM), rng)
        rows.append(
            {
                "measure": measure,
                "places": sample.places,
                "tomograms": len(sample.tomograms),
                "mean": float(sample.means.mean()),
                "low": low,
                "high": high,
            }
        )
    return pd.DataFrame(rows)
