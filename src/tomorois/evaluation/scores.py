"""From counted matches to scores: rates, intervals over tomograms and over ROIs, recall by orientation."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv

from tomocore.columns import Column
from tomorois.evaluation.matching import Comparison
from tomorois.evaluation.settings import EvaluateSettings

Floats = NDArray[np.float64]

PANOPTIC_IOU = 0.5
SUMS = (
    "tp",
    "fp",
    "fn",
    "shared_nm3",
    "predicted_nm3",
    "truth_nm3",
    "panoptic_iou",
    "splits",
    "merges",
)
"""What is added up over tomograms; every score over tomograms is a ratio of such sums."""

RULES = {
    "matching": "one to one: of all pairings of predicted with true ROIs of IoU at least min_iou, the one "
    "with the greatest sum of IoU (Hungarian method); paired = TP, predicted alone = FP, true alone = FN",
    "false_positive_rate": "FP / (TP + FP): the share of predicted ROIs that are wrong",
    "false_negative_rate": "FN / (TP + FN): the share of true ROIs that are missed",
    "dice and iou": "pooled: of all ROI voxels of all tomograms together; per ROI: of each matched pair",
    "panoptic_quality": "sum of IoU over the pairs with IoU > 0.5, divided by TP + FP/2 + FN/2 at IoU > 0.5",
    "split": "a true ROI in which several predicted ROIs lie mostly, one of them unmatched",
    "merge": "a predicted ROI in which several true ROIs lie mostly, one of them unmatched",
    "low, high": "percentile bootstrap interval over tomograms; none with a single tomogram",
    "roi_low, roi_high": "exact binomial interval (Clopper and Pearson 1934) as if ROIs were independent",
    "tilt": "angle in degrees of a true ROI's thinnest principal axis to z: 0 lies in XY, 90 stands upright",
}

SCORE_COLUMNS = (
    Column("false_positive_rate", "false positives", "%", RULES["false_positive_rate"]),
    Column("false_negative_rate", "false negatives", "%", RULES["false_negative_rate"]),
    Column("precision", "precision", "%", "TP / (TP + FP): the share of predicted ROIs that are right"),
    Column("recall", "recall", "%", "TP / (TP + FN): the share of true ROIs that are found"),
    Column("f1", "F1", "", "harmonic mean of precision and recall"),
    Column("dice_pooled", "Dice, all voxels", "", RULES["dice and iou"]),
    Column("iou_pooled", "IoU, all voxels", "", RULES["dice and iou"]),
    Column("panoptic_quality", "panoptic quality", "", RULES["panoptic_quality"]),
)
"""What the scores are called on a page."""


def sums_of(comparison: Comparison) -> Floats:
    """What one tomogram adds to ``SUMS``."""
    good = comparison.iou > PANOPTIC_IOU
    return np.array(
        [
            len(comparison.matched),
            len(comparison.false),
            len(comparison.missed),
            comparison.shared_nm3,
            comparison.predicted_nm3,
            comparison.truth_nm3,
            comparison.iou[good].sum(),
            len(comparison.splits),
            len(comparison.merges),
        ],
        dtype=np.float64,
    )


def rates(sums: Floats) -> dict[str, Floats]:
    """Scores from sums (…, len(SUMS)) over tomograms; NaN where a ratio has no denominator."""
    tp, fp, fn, shared, predicted, truth, panoptic_iou, _, _ = np.moveaxis(np.asarray(sums), -1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            "false_positive_rate": fp / (tp + fp),
            "false_negative_rate": fn / (tp + fn),
            "precision": tp / (tp + fp),
            "recall": tp / (tp + fn),
            "f1": 2 * tp / (2 * tp + fp + fn),
            "dice_pooled": 2 * shared / (predicted + truth),
            "iou_pooled": shared / (predicted + truth - shared),
            # a pair at or below IoU 0.5 is one FP and one FN there, so the denominator is the same
            "panoptic_quality": panoptic_iou / (tp + (fp + fn) / 2),
        }


def scores_with_intervals(sums: Floats, settings: EvaluateSettings) -> dict[str, dict[str, float]]:
    """Value, low and high of each score over tomograms (rows of ``sums``); roi_low, roi_high of the rates."""
    total = sums.sum(axis=0)
    intervals = bootstrap_intervals(sums, settings)
    scores = {
        name: {"value": float(value), "low": intervals[name][0], "high": intervals[name][1]}
        for name, value in rates(total).items()
    }
    tp, fp, fn = total[:3]
    for name, hits, of in (
        ("false_positive_rate", fp, tp + fp),
        ("precision", tp, tp + fp),
        ("false_negative_rate", fn, tp + fn),
        ("recall", tp, tp + fn),
    ):
        low, high = binomial_interval(hits, of, settings.interval)
        scores[name] |= {"roi_low": low, "roi_high": high}
    return scores


def bootstrap_intervals(sums: Floats, settings: EvaluateSettings) -> dict[str, tuple[float, float]]:
    """Percentile intervals of the scores, tomograms (rows of ``sums``) drawn anew with replacement.

    NaN with fewer than two tomograms: one says nothing of how much they differ.
    """
    count = len(sums)
    if count < 2:
        return dict.fromkeys(rates(np.zeros(len(SUMS))), (np.nan, np.nan))
    generator = np.random.default_rng(settings.seed)
    draws = generator.multinomial(count, np.full(count, 1 / count), settings.resamples)
    tails = [50 * (1 - settings.interval), 50 * (1 + settings.interval)]
    intervals = {}
    for name, values in rates(draws @ sums).items():
        defined = values[np.isfinite(values)]
        low, high = np.percentile(defined, tails) if len(defined) else (np.nan, np.nan)
        intervals[name] = (float(low), float(high))
    return intervals


def binomial_interval(hits: float, total: float, probability: float) -> tuple[float, float]:
    """The exact interval of a share, hits of a total (Clopper and Pearson 1934); NaN of nothing."""
    if total == 0:
        return np.nan, np.nan
    tail = (1 - probability) / 2
    low = 0.0 if hits == 0 else float(betaincinv(hits, total - hits + 1, tail))
    high = 1.0 if hits == total else float(betaincinv(hits + 1, total - hits, 1 - tail))
    return low, high


def recall_by_tilt(comparisons: Sequence[Comparison], settings: EvaluateSettings) -> list[dict[str, float]]:
    """Recall of the true ROIs in bins of their tilt to z; the last row (NaN limits) of those not flat."""
    tilts = np.concatenate([c.tilt_deg for c in comparisons])
    found = np.concatenate([_marked(c.matched[:, 1], c) for c in comparisons])
    judged = found | np.concatenate([_marked(c.missed, c) for c in comparisons])
    edges = np.array(settings.tilt_edges_deg)
    bins = np.where(np.isfinite(tilts), np.digitize(tilts, edges[1:-1]), len(edges) - 1)
    limits = [*pairwise(edges), (np.nan, np.nan)]
    rows = []
    for number, (low, high) in enumerate(limits):
        chosen = found[judged & (bins == number)]
        hits, total = int(chosen.sum()), len(chosen)
        interval = binomial_interval(hits, total, settings.interval)
        row = {"from_deg": float(low), "to_deg": float(high), "truth": total, "found": hits}
        rows.append(
            row
            | {"recall": hits / total if total else np.nan, "roi_low": interval[0], "roi_high": interval[1]}
        )
    return rows


def _marked(rows: NDArray[np.int64], comparison: Comparison) -> NDArray[np.bool_]:
    marks = np.zeros(len(comparison.truth_ids), dtype=bool)
    marks[rows] = True
    return marks
