"""Figures of contacts: ranked with their scatter, their area against the threshold, histograms by area."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from surfora.measures.statistics import weighted_histogram
from tomosurf.statistics.figures import (
    ONE_COLUMN_MM,
    Drawn,
    colour_of,
    column_figure,
    drawn_in_style,
)
from tomosurf.statistics.hierarchy import TOMOGRAM, Floats
from tomosurf.statistics.measures import Measure
from tomosurf.statistics.resampling import spread_of_mean

THRESHOLD, AREAS = "contact_distance_nm", ("contact_area_nm2", "target_contact_area_nm2")
BINS = 24


@drawn_in_style
def ranked_figure(table: pd.DataFrame, by: str, conditions: Sequence[str], mean: str, spread: str) -> Drawn:
    """Contacts of each condition from the closest to the farthest, with a band of one SD of each.

    ``table`` has a row a contact, columns "tomogram" and ``by``; ``mean`` and ``spread`` name the columns of
    the gap within each contact and its standard deviation.
    """
    figure = column_figure(ONE_COLUMN_MM, 62)
    axes = figure.subplots()
    parts = []
    for at, condition in enumerate(conditions):
        own = table[(table[by] == condition) & np.isfinite(table[mean])].sort_values(mean)
        if own.empty:
            continue
        rank = np.arange(1, len(own) + 1)
        values, sd = own[mean].to_numpy(float), own[spread].fillna(0).to_numpy(float)
        axes.fill_between(rank, values - sd, values + sd, color=colour_of(at), alpha=0.22, linewidth=0)
        axes.plot(rank, values, color=colour_of(at), label=f"{condition}, {len(own)} contacts")
        parts.append(own[[TOMOGRAM, by, mean, spread]].assign(rank=rank))
    axes.set_xlabel("rank of the contact")
    axes.set_ylabel("gap, mean ± SD (nm)")
    axes.set_ylim(bottom=0)
    if parts:
        axes.legend(loc="lower right", handlelength=1.4)
    data = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
    caption = "by their mean gap; the band is one standard deviation within each contact"
    return Drawn(figure, data, "contacts_ranked", "Contacts ranked", caption)


def areas_by_threshold(curve: pd.DataFrame, tomograms: pd.DataFrame, by: str) -> pd.DataFrame:
    """Area in contact (nm²) of each tomogram at each threshold: columns tomogram, ``by``, threshold, area.

    ``curve`` holds the rows of contact_curve.csv; the areas of all pairs of membranes are added, each the
    mean of both sides. Tomograms without any row have no area. Between thresholds, areas are linear.
    """
    area = curve[[column for column in AREAS if column in curve]].mean(axis=1)
    sums = curve.assign(area=area).groupby([TOMOGRAM, THRESHOLD])["area"].sum().reset_index()
    thresholds = np.unique(sums[THRESHOLD])
    most = sums.groupby(TOMOGRAM)[THRESHOLD].max().min()
    thresholds = np.concatenate([[0.0], thresholds[thresholds <= most]])
    rows = []
    for name, condition in zip(tomograms[TOMOGRAM], tomograms[by], strict=True):
        own = sums[sums[TOMOGRAM] == name]
        known = (np.append(0.0, own[THRESHOLD]), np.append(0.0, own["area"]))
        areas = np.interp(thresholds, *known) if len(own) else np.zeros(len(thresholds))
        rows.append(pd.DataFrame({TOMOGRAM: name, by: condition, THRESHOLD: thresholds, "area_nm2": areas}))
    return pd.concat(rows, ignore_index=True)


@drawn_in_style
def threshold_figure(areas: pd.DataFrame, by: str, conditions: Sequence[str]) -> Drawn:
    """Mean area in contact a tomogram against the threshold, with the 95 % interval over tomograms.

    ``areas`` is what `areas_by_threshold` gives. Thin lines are the tomograms.
    """
    figure = column_figure(ONE_COLUMN_MM, 62)
    axes = figure.subplots()
    for at, condition in enumerate(conditions):
        own = areas[areas[by] == condition].pivot_table(index=TOMOGRAM, columns=THRESHOLD, values="area_nm2")
        if own.empty:
            continue
        thresholds, values = own.columns.to_numpy(float), own.to_numpy(float) / 1e3
        for line in values:
            axes.plot(thresholds, line, color=colour_of(at), alpha=0.25, linewidth=0.5)
        _mean_with_band(axes, thresholds, values, at, f"{condition}, {len(own)} tomograms")
    axes.set_xlabel("threshold of contact (nm)")
    axes.set_ylabel("area in contact a tomogram (10³ nm²)")
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.legend(loc="upper left", handlelength=1.4)
    caption = "mean of tomograms and its 95 % interval; thin lines are tomograms"
    return Drawn(figure, areas, "contact_area_by_threshold", "Area in contact by threshold", caption)


def _mean_with_band(axes: Axes, x: Floats, values: Floats, at: int, label: str) -> None:
    """The mean over rows (tomograms) and the 95 % interval of t at each place, not below zero."""
    mean = values.mean(axis=0)
    if len(values) > 1:
        reach = np.array([spread_of_mean(column).reach for column in values.T])
        low = np.maximum(mean - reach, 0.0)
        axes.fill_between(x, low, mean + reach, color=colour_of(at), alpha=0.18, linewidth=0)
    axes.plot(x, mean, color=colour_of(at), label=label)


@drawn_in_style
def histogram_figure(measure: Measure, by: str, conditions: Sequence[str]) -> Drawn:
    """How the area of all places is spread over a measure: the mean of the tomograms' shares by condition.

    Each tomogram counts once, however large its membranes; the band is the 95 % interval over tomograms.
    """
    rows = measure.rows[np.isfinite(measure.rows[measure.key])]
    edges = bin_edges(rows[measure.key].to_numpy(float))
    middles = (edges[1:] + edges[:-1]) / 2
    figure = column_figure(ONE_COLUMN_MM, 62)
    axes = figure.subplots()
    parts = []
    for at, condition in enumerate(conditions):
        own = rows[rows[by] == condition]
        if own.empty:
            continue
        shares = np.array(
            [
                100
                * weighted_histogram(
                    r[measure.key], r[measure.area] if measure.area else np.ones(len(r)), edges
                )
                for _, r in own.groupby(TOMOGRAM)
            ]
        )
        x = np.repeat(edges, 2)[1:-1]
        _mean_with_band(axes, x, np.repeat(shares, 2, axis=1), at, f"{condition}, {len(shares)} tomograms")
        parts += [
            pd.DataFrame(
                {TOMOGRAM: name, by: condition, "from": edges[:-1], "to": edges[1:], "area_share": s / 100}
            )
            for name, s in zip(own.groupby(TOMOGRAM).groups, shares, strict=True)
        ]
    axes.set_xlabel(measure.label)
    axes.set_ylabel("share of area (%)" if measure.area else f"share of {measure.places} (%)")
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(bottom=0)
    if parts:
        axes.legend(loc="best", handlelength=1.4)
    weighted = "weighted by area, " if measure.area else ""
    caption = f"{weighted}mean of tomograms and its 95 % interval in bins of {_step(middles):.3g}"
    data = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
    return Drawn(figure, data, f"{measure.stem}_histogram", f"{measure.name}, histogram", caption)


@drawn_in_style
def rank_figure(table: pd.DataFrame, by: str, conditions: Sequence[str], array: str) -> Drawn:
    """Where each contact stands among its random patches: even if contacts are like elsewhere.

    ``table`` has a row a contact and side with a column ``array``_rank between 0 and 1; all tomograms of a
    condition are shown together, for the form alone.
    """
    figure = column_figure(ONE_COLUMN_MM, 62)
    axes = figure.subplots()
    edges = np.linspace(0, 1, 11)
    parts = []
    for at, condition in enumerate(conditions):
        ranks = table[table[by] == condition][f"{array}_rank"].dropna().to_numpy(float)
        if len(ranks) == 0:
            continue
        shares = 100 * np.histogram(ranks, edges)[0] / len(ranks)
        axes.stairs(
            shares, edges, color=colour_of(at), fill=False, label=f"{condition}, {len(ranks)} contacts"
        )
        parts.append(
            pd.DataFrame({by: condition, "from": edges[:-1], "to": edges[1:], "share": shares / 100})
        )
    axes.axhline(10, color="black", linewidth=0.6, linestyle=(0, (4, 3)))
    words = array.rsplit("_per_", 1)[0].removesuffix("_nm").replace("_", " ")
    axes.set_xlabel(f"share of random patches with less {words}")
    axes.set_ylabel("share of contacts (%)")
    axes.set_xlim(0, 1)
    axes.set_ylim(bottom=0)
    axes.legend(loc="best", handlelength=1.4)
    caption = "dashed: as many as if contacts were like random patches of their area on their membranes"
    title = f"{words}: contacts among random patches"
    return Drawn(figure, pd.concat(parts, ignore_index=True), f"patches_{array}_ranks", title, caption)


def bin_edges(values: Floats) -> Floats:
    """Edges of up to `BINS` bins over all values, fewer of few values."""
    count = int(np.clip(2 * np.cbrt(len(values)), 6, BINS))
    return np.histogram_bin_edges(values, bins=count)


def _step(middles: Floats) -> float:
    return float(middles[1] - middles[0])
