"""Statistics over a project: the unit is the tomogram, not the triangle."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

RESAMPLES = 4000
INTERVAL = (0.025, 0.975)


def summary_over_tomograms(table: pd.DataFrame, measures: Sequence[str], seed: int = 0) -> pd.DataFrame:
    """A row a measure: how many ROIs and tomograms, the mean of the tomograms' means, and its 95 % interval.

    ``table`` has a row a ROI (or surface) and a column "tomogram". The interval resamples tomograms and,
    within each, its rows (hierarchical bootstrap), since places in one tomogram are not independent;
    it is NaN with fewer than two tomograms.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for measure in measures:
        known = table.dropna(subset=[measure])
        groups = [group.to_numpy(float) for _, group in known.groupby("tomogram")[measure]]
        if not groups:
            continue
        low, high = _interval(groups, rng)
        rows.append(
            {
                "measure": measure,
                "places": len(known),
                "tomograms": len(groups),
                "mean": float(np.mean([group.mean() for group in groups])),
                "low": low,
                "high": high,
            }
        )
    return pd.DataFrame(rows)


def _interval(groups: Sequence[NDArray[np.float64]], rng: np.random.Generator) -> tuple[float, float]:
    if len(groups) < 2:
        return np.nan, np.nan
    chosen = rng.integers(len(groups), size=(RESAMPLES, len(groups)))
    drawn = np.empty(chosen.shape)
    for k, group in enumerate(groups):
        hits = chosen == k
        drawn[hits] = rng.choice(group, size=(hits.sum(), len(group))).mean(axis=1)
    means = drawn.mean(axis=1)
    low, high = np.quantile(means, INTERVAL)
    return float(low), float(high)
