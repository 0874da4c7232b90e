"""Intervals of a whole run: which rows of the repeats belong together, and the file that comes of them."""

import numpy as np
import pandas as pd
import pytest
from command_line import run_command

from surfora.batch import RunOutcome
from surfora.intervals import _interval_rows, _same_contacts
from surfora.reporting.interval_columns import INTERVAL_COLUMNS
from surfora.reporting.interval_page import interval_sections, whisker_figure
from tomocore.columns import Column
from tomocore.volumes.formats import write_volume
from tomocore.volumes.volume import Volume


def contact(number, place, target="ER", **more):
    x, y, z = place
    return {
        "contact": number, "name": "OMM", "kind": "medial", "label": "OMM", "target": target,
        "target_kind": "medial", "target_label": target, "roi": None, "length_nm": 30.0,
        "centre_x_nm": x, "centre_y_nm": y, "centre_z_nm": z, **more,
    }  # fmt: skip


def test_contacts_are_found_again_by_place_and_partner_each_once():
    own = [contact(1, (0, 0, 0)), contact(2, (100, 0, 0)), contact(3, (0, 0, 5), "IMM")]
    others = [
        contact(1, (102, 1, 0)),
        contact(2, (3, 0, 0)),
        contact(3, (1, 0, 0), "IMM"),
        contact(4, (2, 0, 0)),
        contact(5, (500, 0, 0)),
    ]
    found = _same_contacts(own, others)
    assert [row["contact"] for row in found] == [4, 1, 3]
    assert _same_contacts(own, []) == [None] * 3
    assert _same_contacts(own, [contact(1, (0, 40, 0))]) == [None] * 3


def test_a_contact_that_is_not_found_again_leaves_that_repeat_out():
    outcome = RunOutcome(contacts=[contact(1, (0, 0, 0), gap_mean_nm=20.0, cut_by="mask")])
    repeats = [{"contacts": [contact(1, (0, 0, 0), gap_mean_nm=gap)]} for gap in (19.0, 21.0, 20.5)]
    rows = _interval_rows("contacts", outcome, [*repeats, {"contacts": []}])
    by_measure = {row["measure"]: row for row in rows}
    assert set(by_measure) == {"gap_mean_nm", "length_nm"}
    assert by_measure["gap_mean_nm"]["repeats"] == 3
    assert by_measure["gap_mean_nm"]["low"] < 18 < 22 < by_measure["gap_mean_nm"]["high"]


def test_the_page_draws_whiskers_and_lists_all_values():
    outcome = RunOutcome(contacts=[contact(1, (0, 0, 0), gap_mean_nm=20.0)])
    repeats = [{"contacts": [contact(1, (0, 0, 0), gap_mean_nm=gap)]} for gap in (19.0, 21.0, 20.5)]
    rows = pd.DataFrame(_interval_rows("contacts", outcome, repeats))
    (section,) = interval_sections(rows)
    assert len(section.figures) == 1
    assert len(section.tables[0].groups[0].rows) == 2
    assert "contact 1: ER and OMM" in [cells[0].text for cells in section.tables[0].groups[0].rows]
    (without,) = interval_sections(rows.assign(repeats=float("nan")))
    assert without.texts[0].startswith("Everything was measured again, on masks")
    assert interval_sections(pd.DataFrame()) == []
    axes = whisker_figure(rows.assign(of="a"), Column("gap_mean_nm", "gap", "nm")).axes[0]
    assert axes.get_xlabel() == "gap (nm)"


@pytest.mark.slow
def test_a_run_with_intervals(tmp_path):
    axis = np.arange(-20, 20, 1.5)
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    radius = np.sqrt(z**2 + y**2 + x**2)
    write_volume(tmp_path / "ball.mrc", Volume((np.abs(radius - 14) <= 2.5).astype(np.int8), 1.5))
    (tmp_path / "s.toml").write_text("[intervals]\nrepeats = 3\n")
    words = ("run", tmp_path / "ball.mrc", "-o", tmp_path / "out", "-s", tmp_path / "s.toml", "--intervals")
    result = run_command("surfora", *words, "--jobs", "1")
    assert result.returncode == 0, result.stderr
    table = pd.read_csv(tmp_path / "out" / "intervals.csv")
    assert list(table) == [column.key for column in INTERVAL_COLUMNS]
    surfaces = pd.read_csv(tmp_path / "out" / "surfaces.csv").iloc[0]
    rows = table.set_index("measure")
    assert (rows["repeats"] == 3).all()
    for measure, truth in (("area_nm2", 4 * np.pi * 14**2), ("mean_curvature_median_per_nm", 1 / 14)):
        row = rows.loc[measure]
        assert row["value"] == pytest.approx(surfaces[measure])
        assert row["low"] < row["value"] < row["high"]
        assert row["low"] <= truth <= row["high"]
        assert row["high"] - row["low"] < 0.4 * truth
    assert "95 % intervals" in (tmp_path / "out" / "report.html").read_text()
    assert not [path for path in (tmp_path / "out").iterdir() if path.name.startswith(".")]
