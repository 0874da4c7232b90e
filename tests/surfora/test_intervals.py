"""Intervals of a whole run: which rows of the repeats belong together, and the file that comes of them."""

import json

import numpy as np
import pandas as pd
import pytest
from command_line import run_command
from scipy.special import expit

from surfora.batch import RunOutcome
from surfora.intervals_of_run import _interval_rows, _same_contacts
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


def test_a_map_of_confidence_is_for_intervals_alone(tmp_path):
    write_volume(tmp_path / "a.mrc", Volume(np.zeros((8, 8, 8), np.int8), 1.5))
    words = ("run", tmp_path / "a.mrc", "-o", tmp_path / "out", "--confidence", tmp_path / "a.mrc")
    result = run_command("surfora", *words)
    assert result.returncode == 1
    assert "add --intervals" in result.stderr


@pytest.mark.slow
def test_a_map_of_confidence_widens_the_intervals_of_what_it_is_not_sure_of(tmp_path):
    """Two like vesicles of one mask; the map, in a folder of its own, falls off fast about one of them."""
    z, y, x = np.indices((26, 26, 50)) * 1.5
    labels, values = np.zeros(z.shape, np.int8), np.zeros(z.shape, np.float32)
    for label, (middle_nm, width_nm) in enumerate([(18.7, 1.5), (56.2, 9.0)], start=1):
        depth = 2.6 - np.abs(np.sqrt((z - 18.6) ** 2 + (y - 18.9) ** 2 + (x - middle_nm) ** 2) - 11.0)
        labels[depth >= 0] = label
        values = np.maximum(values, expit(4 * depth / width_nm).astype(np.float32))
    (tmp_path / "maps").mkdir()
    write_volume(tmp_path / "t1__membranes.mrc", Volume(labels, 1.5))
    write_volume(tmp_path / "maps" / "t1__confidence.mrc", Volume(values, 1.5))
    record = {"model": "m.safetensors", "threshold": 0.4, "tomogram": "t1.mrc"}
    (tmp_path / "maps" / "t1__confidence.json").write_text(json.dumps(record))
    (tmp_path / "s.toml").write_text("[intervals]\nrepeats = 3\n")
    words = ("run", tmp_path / "t1__membranes.mrc", "--labels", "1=SHARP,2=BLURRED", "-o", tmp_path / "out")
    more = ("--intervals", "--confidence", tmp_path / "maps", "-s", tmp_path / "s.toml", "--jobs", "1")
    result = run_command("surfora", *words, *more)
    assert result.returncode == 0, result.stderr
    table = pd.read_csv(tmp_path / "out" / "intervals.csv")
    spread = table.pivot(index="measure", columns="label", values="spread")
    spread = spread[spread["SHARP"] > 0]
    assert len(spread) > 10
    assert (spread["BLURRED"] / spread["SHARP"]).median() > 1.5
    inputs = json.loads((tmp_path / "out" / "run.json").read_text())["inputs"]
    assert [one["role"] for one in inputs if one.get("role")] == ["confidence"]
