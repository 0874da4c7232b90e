"""Intervals of a project: the numbers of `surfora run --intervals`, and whiskers on its pages."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command_line import run_command

from surfora.batch import RunOutcome
from tomocore.roiset import rois_from_masks, write_rois
from tomocore.volumes.formats import read_volume, write_volume
from tomocore.volumes.volume import Volume
from tomosurf.pages.runs import runs_of
from tomosurf.pages.tomogram_page import page_path, write_tomogram_page
from tomosurf.project import read_project
from tomosurf.report import pooled_tables
from tomosurf.step_records import changes_since, read_step_record, write_step_record
from tomosurf.steps import StepMaker
from tomosurf.validation import problems_of

SHAPE = (22, 30, 30)
SETTINGS = "[intervals]\nrepeats = 2\n[medial]\nspacing_nm = 3.0\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A tomogram with two flat membranes 16 nm apart, a map of how sure they are, and their contact."""
    monkeypatch.setattr("tomosurf.steps._sees_membranes", lambda project: False)
    z = np.arange(SHAPE[0])[:, None, None] * np.ones(SHAPE)
    sheets = np.where(np.abs(z - 6) <= 1, 1, np.where(np.abs(z - 14) <= 1, 2, 0)).astype(np.int16)
    sure = np.clip(1 - np.minimum(np.abs(z - 6), np.abs(z - 14)) / 3, 0, 1).astype(np.float32)
    for place, what, data in (
        ("tomograms", "", -(sheets > 0).astype(np.float32)),
        ("membranes", "__membranes", sheets),
        ("sure", "__confidence", sure),
    ):
        (tmp_path / place).mkdir()
        write_volume(tmp_path / place / f"t1{what}.mrc", Volume(data, 2.0))
    rois = rois_from_masks([(4, 8, 8)], [np.ones((13, 14, 14), bool)], SHAPE, 2.0, (0.0, 0.0, 0.0))
    (tmp_path / "results" / "rois").mkdir(parents=True)
    write_rois(tmp_path / "results" / "rois", "t1", rois)
    (tmp_path / "s.toml").write_text(SETTINGS)
    own = SETTINGS.replace("[", "[surfora.")
    (tmp_path / "project.toml").write_text(
        f'model = "m.safetensors"\nintervals = true\nmembrane_confidence = "sure"\n{own}'
    )
    return tmp_path


def test_both_doors_ask_for_the_same(folder, monkeypatch):
    """One function measures behind both: what it is asked for is the same but for the folder."""
    asked = []

    def run_with_intervals(request, settings, watcher):
        asked.append((replace(request, folder=folder), settings))
        return RunOutcome(watcher)

    monkeypatch.setattr("surfora.intervals_of_run.run_with_intervals", run_with_intervals)
    monkeypatch.chdir(folder)
    words = "run membranes/t1__membranes.mrc --rois results/rois/t1__rois.npz -o hand -s s.toml -j 1"
    by_hand = run_command("surfora", *words.split(), "--intervals", "--confidence", "sure")
    assert by_hand.returncode == 0, by_hand.stderr
    project = read_project(Path())
    StepMaker(project).make("surfaces", project.plans[0])
    assert len(asked) == 2
    assert asked[0] == asked[1]


@pytest.mark.slow
def test_values_have_intervals_and_pages_draw_them(folder):
    mask = folder / "membranes" / "t1__membranes.mrc"
    sheets = read_volume(mask)
    write_volume(mask, sheets.with_data(np.where(sheets.data == 1, 1, 0).astype(np.int8)))
    project = read_project(folder)
    (plan,) = project.plans
    StepMaker(project).make("surfaces", plan)
    intervals = pd.read_csv(plan.surfaces / "intervals.csv")
    area = intervals[intervals["measure"] == "area_nm2"].iloc[0]
    assert area["low"] < area["value"] < area["high"]
    assert area["repeats"] == 2
    write_tomogram_page(project, plan, runs_of(project), "")
    assert "Whiskers are 95 % intervals" in " ".join(page_path(project, plan).read_text().split())
    assert pooled_tables(project).intervals["tomogram"].unique().tolist() == ["t1"]


def test_intervals_are_part_of_what_surfaces_are_made_from(folder):
    project = read_project(folder)
    (plan,) = project.plans
    with_them = StepMaker(project).basis("surfaces", plan).begun(replaces=False)
    text = (folder / "project.toml").read_text()
    (folder / "project.toml").write_text(text.replace("intervals = true", "intervals = false"))
    without = StepMaker(read_project(folder)).basis("surfaces", plan)
    write_step_record(plan.record_of("surfaces"), with_them)
    assert changes_since(read_step_record(plan.record_of("surfaces")), without) == [
        "intervals is unset, was True",
        "is made without confidence of membranes now",
    ]


def test_validate_finds_maps_that_are_missing_or_of_no_use(folder):
    def told():
        return [line for line in problems_of(read_project(folder)) if "no such model" not in line]

    assert told() == []
    write_volume(folder / "sure" / "t1__confidence.mrc", Volume(np.full(SHAPE, 7.0, np.float32), 2.0))
    assert "a confidence is 0 to 1" in told()[0]
    (folder / "sure" / "t1__confidence.mrc").unlink()
    assert "t1__confidence.mrc: no such file" in told()[0]
    text = (folder / "project.toml").read_text()
    (folder / "project.toml").write_text(text.replace("intervals = true", ""))
    assert told() == ["membrane_confidence says how wide intervals are; set intervals = true, or unset it"]
