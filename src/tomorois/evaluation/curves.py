"""Precision and recall against the threshold, and the pictures of scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from tomocore.columns import column_of
from tomorois.evaluation.matching import Comparison, match_by_iou
from tomorois.evaluation.scores import SCORE_COLUMNS, SUMS, rates

Floats = NDArray[np.float64]

MOST_RANKS = 50
KEPT, REJECTED = "#1f5a7a", "#b3541e"
CURVE_SCORES = ("precision", "recall", "f1", "dice_pooled", "panoptic_quality")


def curve_row(threshold: float, sums: Floats) -> dict[str, float]:
    """One point of the curve: counts and scores at a threshold, from sums over tomograms."""
    values = rates(sums)
    counts = {name: int(value) for name, value in zip(SUMS[:3], sums[:3], strict=True)}
    return {"threshold": float(threshold), **counts, **{name: float(values[name]) for name in CURVE_SCORES}}


def ranked_curve(comparisons: Sequence[Comparison], min_iou: float) -> list[dict[str, float]]:
    """Precision and recall of the ROIs with at least some mean confidence, at each that occurs (at most 50).

    The extent of each ROI stays as it is, so there is no Dice in it. Empty where confidences are unknown.
    """
    confidence = np.concatenate([c.confidence for c in comparisons])
    if len(confidence) == 0 or not np.isfinite(confidence).all():
        return []
    limits = np.unique(confidence)
    if len(limits) > MOST_RANKS:
        limits = limits[np.linspace(0, len(limits) - 1, MOST_RANKS).round().astype(np.int64)]
    return [_ranked_row(comparisons, float(limit), min_iou) for limit in limits]


def _ranked_row(comparisons: Sequence[Comparison], limit: float, min_iou: float) -> dict[str, float]:
    tp, fp, fn = 0, 0, 0
    for c in comparisons:
        sure = c.confidence >= limit
        matched = match_by_iou(np.where(sure[:, None], c.overlap_iou, 0.0), min_iou)
        judged = np.union1d(c.false, c.matched[:, 0])
        tp += len(matched)
        fp += len(np.setdiff1d(np.intersect1d(np.flatnonzero(sure), judged), matched[:, 0]))
        fn += len(np.setdiff1d(np.union1d(c.missed, c.matched[:, 1]), matched[:, 1]))
    values = rates(np.array([tp, fp, fn] + [0.0] * (len(SUMS) - 3)))
    scores = {name: float(values[name]) for name in ("precision", "recall", "f1")}
    return {"threshold": limit, "tp": tp, "fp": fp, "fn": fn, **scores}


def precision_recall_figure(
    curve: Sequence[dict[str, float]], chosen_threshold: float | None = None
) -> Figure:
    """Precision against recall, and both with F1 and Dice against the threshold, side by side."""
    figure = Figure(figsize=(8.4, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    column = {
        name: np.array([row.get(name, np.nan) for row in curve]) for name in ("threshold", *CURVE_SCORES)
    }
    left.plot(column["recall"], column["precision"], "o-", color="#1f5a7a", ms=4)
    left.set(xlabel="recall", ylabel="precision", xlim=(0, 1.02), ylim=(0, 1.02), aspect="equal")
    colours = {"precision": "#b3541e", "recall": "#1f5a7a", "f1": "#555555", "dice_pooled": "#4c8c4a"}
    for name, colour in colours.items():
        if np.isfinite(column[name]).any():
            right.plot(
                column["threshold"], column[name], color=colour, label=column_of(name, SCORE_COLUMNS).heading
            )
    if chosen_threshold is not None:
        right.axvline(chosen_threshold, color="#999999", ls=":", label="chosen")
    right.set(xlabel="threshold", ylabel="score", xlim=(0, 1), ylim=(0, 1.02))
    right.legend(frameon=False, fontsize=8)
    _bare(left, right)
    return figure


def interval_figure(scores: Mapping[str, Mapping[str, float]], interval: float) -> Figure:
    """Each score with its interval (of that probability) over tomograms, as far as there is one."""
    figure = Figure(figsize=(4.2, 3.2), layout="constrained")
    axes = figure.subplots()
    for row, score in enumerate(scores.values()):
        axes.plot([score["low"], score["high"]], [row, row], color="#9db8c7", lw=5, solid_capstyle="butt")
        axes.plot(score["value"], row, "o", color="#1f5a7a", ms=5, clip_on=False)
    axes.set_yticks(
        range(len(scores)), [column_of(name, SCORE_COLUMNS).heading for name in scores], fontsize=8
    )
    axes.set(xlim=(0, 1), xlabel=f"share or score, {interval:.0%} interval")
    axes.invert_yaxis()
    _bare(axes)
    return figure


def orientation_figure(orientation: Sequence[dict[str, float]]) -> Figure:
    """Recall of the true ROIs by their tilt to z, with exact binomial intervals."""
    figure = Figure(figsize=(4.2, 3.2), layout="constrained")
    axes = figure.subplots()
    rows = [row for row in orientation if row["truth"]]
    recall = np.array([row["recall"] for row in rows])
    spans = [recall - [row["roi_low"] for row in rows], [row["roi_high"] for row in rows] - recall]
    axes.bar(
        range(len(rows)), recall, color="#9db8c7", yerr=np.clip(spans, 0, None), ecolor="#333333", capsize=3
    )
    axes.set_xticks(range(len(rows)), [_tilt_name(row) for row in rows], fontsize=8)
    axes.set(ylabel="recall", ylim=(0, 1.05), xlabel="tilt of the ROI (0° lies in XY)")
    _bare(axes)
    return figure


def _tilt_name(row: dict[str, float]) -> str:
    span = f"{row['from_deg']:.0f}–{row['to_deg']:.0f}°" if np.isfinite(row["from_deg"]) else "not flat"
    return f"{span}\nn = {int(row['truth'])}"


def _bare(*many: Any) -> None:
    for axes in many:
        axes.spines[["top", "right"]].set_visible(False)
