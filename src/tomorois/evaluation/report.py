"""Scores as people read them: lines for the console, and a report with figures beside the JSON file."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from tomocore.page import Section, picture_of_figure, shown, table_of, write_page
from tomorois.evaluation.curves import interval_figure, orientation_figure, precision_recall_figure
from tomorois.evaluation.evaluate import Evaluation
from tomorois.evaluation.scores import RULES

TOMOGRAM_COLUMNS = (
    "name",
    "trained_on",
    "tp",
    "fp",
    "fn",
    "false_positive_rate",
    "false_negative_rate",
    "dice_pooled",
    "iou_pooled",
    "panoptic_quality",
    "splits",
    "merges",
)
MEANINGS = {
    **RULES,
    "low": RULES["low, high"],
    "high": RULES["low, high"],
    "roi_low": RULES["roi_low, roi_high"],
    "roi_high": RULES["roi_low, roi_high"],
    "dice_pooled": RULES["dice and iou"],
    "iou_pooled": RULES["dice and iou"],
    "trained_on": "whether the tomogram took part in the training of the model that was named",
}


def score_lines(evaluation: Evaluation) -> list[str]:
    """Counts and scores with their intervals, a line each."""
    counts, per_roi = evaluation.counts, evaluation.per_roi
    lines = [
        f"{counts['tomograms']} tomograms, {counts['predicted']} ROIs predicted, {counts['truth']} true",
        ", ".join(f"{name} {counts[name]}" for name in ("tp", "fp", "fn", "splits", "merges", "forgiven")),
    ]
    for name, score in evaluation.scores.items():
        spans = [
            f"{shown(score[low])} to {shown(score[high])} over {of}"
            for low, high, of in (("low", "high", "tomograms"), ("roi_low", "roi_high", "ROIs"))
            if score.get(low) == score.get(low, float("nan"))
        ]
        lines.append(f"{name} {shown(score['value'])}" + (f" ({'; '.join(spans)})" if spans else ""))
    for name in ("dice", "iou"):
        mean, spread = (shown(per_roi[f"{name}_{what}"]) for what in ("mean", "sd"))
        lines.append(f"{name} per ROI {mean} ± {spread} (SD of {per_roi['matched']} matched)")
    return lines


def cautions(evaluation: Evaluation) -> list[str]:
    """What the scores do not say: whether tomograms were trained on, and how few they are."""
    found = []
    if evaluation.trained_on is None:
        found.append("whether these tomograms were trained on is not known; name the model with --model")
    elif evaluation.trained_on:
        found.append(
            f"{len(evaluation.trained_on)} of {evaluation.counts['tomograms']} tomograms took part in the "
            f"model's training ({', '.join(evaluation.trained_on)}): their scores say little about new ones"
        )
    if evaluation.counts["tomograms"] == 1:
        found.append("a single tomogram: there is no interval over tomograms")
    return found


def score_section(evaluation: Evaluation) -> Section:
    """Scores with intervals, the curves, recall by orientation and a row a tomogram, as part of a page."""
    scores = pd.DataFrame([{"score": name, **score} for name, score in evaluation.scores.items()])
    tomograms = pd.DataFrame(evaluation.tomograms)
    tomograms = tomograms.assign(
        splits=tomograms["splits"].map(len), merges=tomograms["merges"].map(len)
    ).dropna(axis=1, how="all")
    figures = [
        picture_of_figure(
            interval_figure(evaluation.scores, evaluation.settings.interval),
            "Scores with intervals over tomograms",
        ),
        picture_of_figure(orientation_figure(evaluation.orientation), "Recall by orientation"),
    ]
    if evaluation.curve:
        against = "the threshold" if "dice_pooled" in evaluation.curve[0] else "the ROIs' confidence"
        curve = precision_recall_figure(evaluation.curve)
        figures.insert(1, picture_of_figure(curve, f"Precision and recall against {against}", broad=True))
    columns = [name for name in TOMOGRAM_COLUMNS if name in tomograms]
    return Section(
        "Scores against the truth",
        ["; ".join(score_lines(evaluation)[:2]) + ".", *score_lines(evaluation)[-2:]],
        figures,
        [table_of(scores, MEANINGS), table_of(tomograms[columns], MEANINGS)],
        [("Rules", "\n".join(f"{name}: {rule}" for name, rule in RULES.items()))],
    )


def write_score_report(path: Path, evaluation: Evaluation) -> None:
    """Write the scores as one page that opens in any browser."""
    scores = evaluation.scores
    cards = [
        (name.replace("_", " "), shown(scores[name]["value"]))
        for name in ("false_positive_rate", "false_negative_rate", "dice_pooled", "panoptic_quality")
    ]
    counted = f"{evaluation.counts['truth']} true ROIs in {evaluation.counts['tomograms']} tomograms"
    write_page(path, "Evaluation", counted, cautions(evaluation), cards, [score_section(evaluation)])
