"""Scores as people read them: lines for the console, and a report with figures beside the JSON file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from tomocore.columns import Column, column_of
from tomocore.page import Cell, Page, Section, Table, picture_of, shown, table_of, write_page
from tomorois.evaluation.curves import interval_figure, orientation_figure, precision_recall_figure
from tomorois.evaluation.evaluate import Evaluation
from tomorois.evaluation.scores import RULES, SCORE_COLUMNS

TOMOGRAM_COLUMNS = (
    Column("name", "tomogram"),
    Column(
        "trained_on",
        "trained on",
        meaning="whether the tomogram took part in the training of the model that was named",
    ),
    Column("tp", "found", meaning="true ROIs that were found (TP)"),
    Column("fp", "false", meaning="predicted ROIs that are none (FP)"),
    Column("fn", "missed", meaning="true ROIs that were not found (FN)"),
    *SCORE_COLUMNS,
    Column("splits", "split", meaning=RULES["split"]),
    Column("merges", "merged", meaning=RULES["merge"]),
)
"""What the page tells of each tomogram; precision, recall and F1 follow from the counts."""
LEFT_OUT = ("precision", "recall", "f1")
INTERVAL_COLUMNS = (
    Column("score", "score"),
    Column("value", "value"),
    Column("over_tomograms", "over tomograms", meaning=RULES["low, high"]),
    Column("over_rois", "over ROIs", meaning=RULES["roi_low, roi_high"]),
)
CARDS = ("false_positive_rate", "false_negative_rate", "dice_pooled", "iou_pooled")


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
        if spread:  # of two or more
            lines.append(f"{name} per ROI {mean} ± {spread} (SD of {per_roi['matched']} matched)")
        elif mean:
            lines.append(f"{name} per ROI {mean} (1 matched)")
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


def score_cards(evaluation: Evaluation) -> list[tuple[str, str]]:
    """The scores that a paper gives, as headline numbers."""
    columns = [column_of(name, SCORE_COLUMNS) for name in CARDS]
    return [(c.heading, _score_text(evaluation.scores[c.key]["value"], c)) for c in columns]


def score_section(evaluation: Evaluation) -> Section:
    """Scores with intervals, the curves, recall by orientation and a row a tomogram, as part of a page."""
    figures = [
        picture_of(
            interval_figure(evaluation.scores, evaluation.settings.interval),
            "Scores with intervals over tomograms",
        ),
        picture_of(orientation_figure(evaluation.orientation), "Recall by orientation"),
    ]
    if evaluation.curve:
        against = "the threshold" if "dice_pooled" in evaluation.curve[0] else "the ROIs' confidence"
        curve = precision_recall_figure(evaluation.curve)
        figures.append(picture_of(curve, f"Precision and recall against {against}", broad=True))
    return Section(
        "Scores against the truth",
        [_counts_in_words(evaluation), _outlines_in_words(evaluation.per_roi)],
        figures,
        [_score_table(evaluation), _tomogram_table(evaluation)],
        [("How the scores are counted", "\n".join(f"{name}: {rule}" for name, rule in RULES.items()))],
    )


def write_score_report(path: Path, evaluation: Evaluation) -> None:
    """Write the scores as one page that opens in any browser."""
    counts = evaluation.counts
    counted = f"{counts['truth']} true ROIs in {counts['tomograms']} tomograms"
    page = Page(
        "Evaluation of regions of interest",
        counted,
        warnings=cautions(evaluation),
        cards=score_cards(evaluation),
        sections=[score_section(evaluation)],
    )
    write_page(path, page)


def _counts_in_words(evaluation: Evaluation) -> str:
    counts = evaluation.counts
    judged = f" {counts['forgiven']} lie where nothing is judged." if counts["forgiven"] else ""
    return (
        f"{counts['predicted']} regions were predicted and {counts['truth']} are true: {counts['tp']} found, "
        f"{counts['fp']} false, {counts['fn']} missed; {counts['splits']} split, {counts['merges']} merged."
        + judged
    )


def _outlines_in_words(per_roi: Mapping[str, float]) -> str:
    if not per_roi["matched"]:
        return "No predicted region matches a true one."
    dice, iou = (
        f"{shown(per_roi[f'{name}_mean'])} ± {shown(per_roi[f'{name}_sd']) or 'unknown'}"
        for name in ("dice", "iou")
    )
    return f"Outlines of the {per_roi['matched']:g} found: Dice {dice}, IoU {iou} (mean ± SD)."


def _score_table(evaluation: Evaluation) -> Table:
    rows = []
    for name, score in evaluation.scores.items():
        column = column_of(name, SCORE_COLUMNS)
        rows.append(
            {
                "score": Cell(column.heading, hover=column.meaning),
                "value": Cell(_score_text(score["value"], column), score["value"]),
                "over_tomograms": _interval(score.get("low"), score.get("high"), column),
                "over_rois": _interval(score.get("roi_low"), score.get("roi_high"), column),
            }
        )
    caption = f"Scores with {evaluation.settings.interval:.0%} intervals"
    return table_of(pd.DataFrame(rows), INTERVAL_COLUMNS, caption)


def _tomogram_table(evaluation: Evaluation) -> Table:
    table = pd.DataFrame(evaluation.tomograms)
    table = table.assign(splits=table["splits"].map(len), merges=table["merges"].map(len))
    keys = [c.key for c in TOMOGRAM_COLUMNS if c.key in table and c.key not in LEFT_OUT]
    return table_of(table[keys], TOMOGRAM_COLUMNS, "Tomogram by tomogram")


def _score_text(value: float, column: Column) -> str:
    if value != value:
        return "not defined"
    return f"{100 * value:.1f} %" if column.unit == "%" else f"{value:.3f}"


def _interval(low: float | None, high: float | None, column: Column) -> Cell:
    """``50.0 to 100.0 %``, or nothing where there is no interval."""
    if low is None or high is None or low != low:
        return Cell("")
    return Cell(f"{_score_text(low, column).removesuffix(' %')} to {_score_text(high, column)}", low)
