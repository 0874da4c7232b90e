"""Contacts as people read them: both ways between two membranes in one row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from surfora.reporting.naming import with_words

BETWEEN = {
    "medial": "the middles",
    "inner": "inner leaflet and other membrane",
    "outer": "outer leaflet and other membrane",
}
"""What a gap lies between, by the kind of surface that it is measured from."""


def contacts_of(distances: pd.DataFrame) -> pd.DataFrame:
    """A row a contact and kind of surface, closest first, of the rows of distances.csv.

    ``place`` and ``contact`` name it, ``kind`` is what it was measured from, ``names`` are the full names
    of its surfaces. ``mean_nm``, ``sd_nm``, ``contact_mean_nm`` and ``contact_sd_nm`` are over the area of
    both surfaces, ``min_nm`` is the least of both, ``contact_area_nm2`` their mean.
    """
    if distances.empty:
        return pd.DataFrame()
    worded = with_words(distances)
    sides = [" ".join(sorted(pair)) for pair in zip(worded["name"], worded["target"], strict=True)]
    groups = worded.groupby(["place", "contact", "kind", pd.Series(sides, worded.index)], sort=False)
    return pd.DataFrame([_contact_row(group) for _, group in groups]).sort_values(
        "mean_nm", ignore_index=True
    )


def _contact_row(ways: pd.DataFrame) -> dict[str, Any]:
    first = ways.iloc[0]
    mean, spread = _pooled(ways["mean_nm"], ways["sd_nm"], ways["area_measured_nm2"])
    near, near_spread = _pooled(ways["contact_mean_nm"], ways["contact_sd_nm"], ways["contact_area_nm2"])
    return {
        "place": first["place"],
        "contact": first["contact"],
        "kind": first["kind"],
        "names": f"{first['name']} and {first['target']}",
        "mean_nm": mean,
        "sd_nm": spread,
        "min_nm": float(ways["min_nm"].min()),
        "contact_area_nm2": float(ways["contact_area_nm2"].mean()),
        "contact_mean_nm": near,
        "contact_sd_nm": near_spread,
    }


def _pooled(
    means: pd.Series[float], spreads: pd.Series[float], areas: pd.Series[float]
) -> tuple[float, float]:
    """Mean and standard deviation over the joined areas of parts whose own are known; NaN of none."""
    known = np.isfinite(means) & (areas > 0)
    if not known.any():
        return float("nan"), float("nan")
    weights = areas[known] / areas[known].sum()
    mean = float((weights * means[known]).sum())
    square = float((weights * (spreads[known] ** 2 + means[known] ** 2)).sum())
    return mean, float(np.sqrt(max(square - mean**2, 0.0)))
