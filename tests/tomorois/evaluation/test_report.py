"""Scores as lines and as a page: every number and every caution a reader needs is there."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from tomocore.roiset import rois_from_masks
from tomorois.evaluation.curves import interval_figure
from tomorois.evaluation.evaluate import Evaluation, ScoredTomogram, evaluate
from tomorois.evaluation.report import cautions, score_lines, write_score_report


def boxes(*starts_zyx, confidence=0.5):
    masks = [np.ones((8, 8, 8), dtype=bool)] * len(starts_zyx)
    columns = {"confidence_mean": [confidence] * len(masks)}
    return rois_from_masks(list(starts_zyx), masks, (20, 30, 40), 2.0, columns=columns)


@pytest.fixture
def evaluation() -> Evaluation:
    """Two tomograms: all found and nothing else; one found, one missed, one false."""
    good = ScoredTomogram("good", boxes((2, 2, 2)), boxes((2, 2, 2)))
    bad = ScoredTomogram("bad", boxes((2, 2, 2), (10, 20, 30)), boxes((2, 2, 2), (2, 20, 2)))
    return evaluate([good, bad], trained_on=["bad"])


def test_lines_tell_counts_and_both_kinds_of_interval(evaluation):
    lines = score_lines(evaluation)
    assert lines[0] == "2 tomograms, 3 ROIs predicted, 3 true"
    assert lines[1] == "tp 2, fp 1, fn 1, splits 0, merges 0, forgiven 0"
    assert "recall 0.667 (0.5 to 1 over tomograms; 0.0943 to 0.992 over ROIs)" in lines
    assert "dice per ROI 1 ± 0 (SD of 2 matched)" in lines


def test_a_single_tomogram_has_no_empty_brackets():
    single = evaluate([ScoredTomogram("a", boxes((2, 2, 2)), boxes((2, 2, 2)))])
    assert "f1 1" in score_lines(single)
    assert "dice per ROI 1 (1 matched)" in score_lines(single)
    assert any("no interval over tomograms" in text for text in cautions(single))


def test_what_was_trained_on_or_is_not_known_is_said(evaluation):
    assert "1 of 2 tomograms took part in the model's training (bad)" in " ".join(cautions(evaluation))
    assert "--model" in " ".join(cautions(replace(evaluation, trained_on=None)))
    assert cautions(replace(evaluation, trained_on=[])) == []


def test_the_page_holds_figures_tables_and_cautions(evaluation, tmp_path):
    write_score_report(tmp_path / "metrics.html", evaluation)
    page = (tmp_path / "metrics.html").read_text()
    assert page.count("<img") == 3
    assert "took part in the model&#39;s training (bad)" in page
    assert "Hungarian" in page
    assert all(word in page for word in ("panoptic quality", "false positives", "good", "Dice, all voxels"))
    assert "3 regions were predicted and 3 are true: 2 found, 1 false, 1 missed" in page
    assert "50.0 to 100.0 %" in page  # recall of the two tomograms: 1 and 1/2
    assert ">9.4 to 99.2 %<" in page  # 2 of 3, exact binomial
    shown = re.sub(r'title="[^"]*"|<dl>.*?</dl>|<pre>.*?</pre>', "", page, flags=re.DOTALL)
    assert not re.search(r"[a-z]_[a-z]+_?(?=<)", shown.split("<script>")[0])


def test_a_page_without_any_curve_has_the_other_figures(evaluation, tmp_path):
    write_score_report(tmp_path / "metrics.html", replace(evaluation, curve=[]))
    assert (tmp_path / "metrics.html").read_text().count("<img") == 2


def test_intervals_are_drawn_where_they_are():
    axes = interval_figure({"recall": {"value": 0.7, "low": 0.5, "high": 0.8}}, 0.9).axes[0]
    assert axes.lines[0].get_xdata().tolist() == [0.5, 0.8]
    assert axes.lines[1].get_xdata().tolist() == [0.7]
    assert "90% interval" in axes.get_xlabel()
