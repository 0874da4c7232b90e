"""A project's table and lists of tomograms, what `new` finds, and how far it is."""

import json
import os
from datetime import datetime

import numpy as np
import pandas as pd
import pytest
from command_line import refusal_of, run_command

from tomocore.contract import InputError
from tomocore.roiset import rois_from_masks, write_rois_archive
from tomocore.volumes.formats import write_volume
from tomocore.volumes.volume import Volume
from tomosurf.project import ProjectSettings, inputs_in, read_project
from tomosurf.report import pooled_tables
from tomosurf.run import run_project
from tomosurf.status import status_of_project
from tomosurf.steps import StepMaker

STEMS = ("t1_rec", "t2", "t3")
SHAPE = (6, 8, 10)


@pytest.fixture
def folder(tmp_path):
    """A project of three tomograms with membranes, whose table leaves one out."""
    data = np.zeros(SHAPE, np.int8)
    data[3] = 1
    for place in ("tomograms", "membranes"):
        (tmp_path / place).mkdir()
    for stem in STEMS:
        write_volume(tmp_path / "tomograms" / f"{stem}.mrc", Volume(data.astype(np.float32), 2.0))
        write_volume(
            tmp_path / "membranes" / f"{stem.removesuffix('_rec')}__membranes.mrc", Volume(data, 2.0)
        )
    (tmp_path / "project.toml").write_text("")
    (tmp_path / "tomograms.csv").write_text(
        "name;condition;grid;voxel_size_nm;exclude;dose\nt1;wt;g1;;;120\nt2;ko;g2;1.5;no;120\nt3;ko;g2;;ice;1\n"
    )
    return tmp_path


def test_the_table_gives_condition_grid_and_voxel_size_and_leaves_out(folder):
    project = read_project(folder)
    assert [plan.stem for plan in project.plans] == list(STEMS)
    assert [plan.row.condition for plan in project.plans] == ["wt", "ko", "ko"]
    assert [plan.row.grid for plan in project.plans] == ["g1", "g2", "g2"]
    assert [plan.voxel_size_nm for plan in project.plans] == [None, 1.5, None]
    assert [plan.stem for plan in project.included] == ["t1_rec", "t2"]
    (folder / "project.toml").write_text("voxel_size_nm = 3.0\n")
    assert [plan.voxel_size_nm for plan in read_project(folder).plans] == [3.0, 1.5, 3.0]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("name,voxel_size_nm\nt2,large\n", "voxel_size_nm of t2 is large; give a positive number"),
        ("name,voxel_size_nm\nt2,-1\n", "voxel_size_nm of t2 is -1; give a positive number"),
        ("name\nt1\nt1_rec\n", "t1 and t1_rec are both t1_rec; keep one row"),
        ("tomo,condition\nt1,wt\n", "no column name, only tomo, condition"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused(folder, text, reason):
    (folder / "tomograms.csv").write_text(text)
    assert reason in refusal_of(run_command("tomosurf", "status", folder))


def test_a_table_that_was_named_must_be_there(folder):
    (folder / "project.toml").write_text('table = "sessions.csv"\n')
    with pytest.raises(InputError, match=r"sessions\.csv: no such file"):
        read_project(folder)
    (folder / "project.toml").write_text("")
    (folder / "tomograms.csv").unlink()
    assert len(read_project(folder).included) == 3


def test_paths_may_begin_with_home_or_a_variable(folder, monkeypatch, tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    (folder / "tomograms").rename(home / "tomograms")
    (folder / "membranes").rename(home / "membranes")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("DISK", str(home))
    (folder / "project.toml").write_text(
        'tomograms = ["~/tomograms/t*.mrc"]\nmembranes = "$DISK/membranes"\nmodel = "~/m.safetensors"\n'
    )
    project = read_project(folder)
    assert [plan.tomogram.parent for plan in project.plans] == [home / "tomograms"] * 3
    assert all(plan.membranes.is_file() for plan in project.plans)
    assert project.model == home / "m.safetensors"


def test_a_folder_of_tomograms_that_is_not_there_is_no_tomogram(folder):
    (folder / "project.toml").write_text('tomograms = ["tomogramms"]\n')
    with pytest.raises(InputError, match="tomogramms: no such folder or file"):
        read_project(folder)
    (folder / "project.toml").write_text('tomograms = ["tomograms", "gone.mrc"]\n')
    assert len(read_project(folder).plans) == 4


def test_validate_finds_names_of_no_tomogram_and_membranes_that_are_no_mask(folder):
    with (folder / "tomograms.csv").open("a") as table:
        table.write("t9;wt;g1;;;\n")
    for stem in ("t2", "t3"):  # the second is left out, so nothing is wrong with it
        path = folder / "membranes" / f"{stem}__membranes.mrc"
        write_volume(path, Volume(np.zeros(SHAPE, np.int8), 2.0))
    result = run_command("tomosurf", "validate", folder)
    assert result.returncode == 1
    told = [line for line in result.stderr.splitlines() if "model" not in line]
    assert len(told) == 2
    assert "tomograms.csv: t9: no such tomogram" in told[0]
    assert "t2__membranes.mrc: the mask is empty" in told[1]
    assert "t1_rec.mrc: t1__membranes.mrc" in result.stdout
    assert "t3.mrc: t3__membranes.mrc (left out: ice)" in result.stdout


def test_only_those_listed_are_planned(folder):
    (folder / "good.txt").write_text("# the good ones\nt2  # sharp\n\nt1\n")
    assert [plan.stem for plan in read_project(folder, folder / "good.txt").plans] == ["t1_rec", "t2"]
    for text, reason in (("t7\n", "t7: no such tomogram in the project"), ("# none\n", "lists no tomogram")):
        (folder / "bad.txt").write_text(text)
        assert reason in refusal_of(run_command("tomosurf", "run", folder, "--only", folder / "bad.txt"))
    missing = run_command("tomosurf", "status", folder, "--only", folder / "none.txt")
    assert "give a list of names" in refusal_of(missing)
    os.mkfifo(folder / "pipe.txt")  # which nobody writes to
    piped = run_command("tomosurf", "status", folder, "--only", folder / "pipe.txt")
    assert "pipe.txt" in refusal_of(piped)


def test_a_run_of_some_keeps_what_failed_of_others(folder, monkeypatch):
    steps = []

    def fail_on_first(self, step, plan, *_):
        if step != "confidence":
            return True
        steps.append(plan.stem)
        if plan.stem == "t1_rec":
            raise InputError("t1_rec: no membrane")
        return True

    monkeypatch.setattr("tomosurf.steps._sees_membranes", lambda project: False)
    monkeypatch.setattr(StepMaker, "make", fail_on_first)
    for model in (folder / "model.safetensors",):
        model.write_bytes(b"weights")
    batch = run_project(read_project(folder))
    assert steps == ["t1_rec", "t2"]
    assert batch.skipped == {"t3": "left out: ice"}
    (folder / "good.txt").write_text("t2\n")
    run_project(read_project(folder, folder / "good.txt"))
    assert steps == ["t1_rec", "t2", "t2"]
    record = json.loads((folder / "results" / "run.json").read_text())
    assert record["failures"] == {"t1_rec": "t1_rec: no membrane"}
    first, second, third = status_of_project(read_project(folder))
    assert (first.remark, second.remark, third.remark) == ("t1_rec: no membrane", "", "left out: ice")


def test_status_tells_when_each_step_was_done(folder):
    for step in ("confidence/t2__confidence.mrc", "rois/t2__rois.npz", "surfaces/t2/report.html"):
        path = folder / "results" / step
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("made")
    status = status_of_project(read_project(folder))
    assert [one.is_done for one in status] == [False, True, False]
    assert abs((datetime.now() - status[1].done["rois"]).total_seconds()) < 600
    said = run_command("tomosurf", "status", folder).stdout
    assert said.count("done ") == 3
    assert "left out: ice" in said


def test_pooled_tables_have_condition_and_grid_of_those_that_count(folder):
    for stem in ("t1_rec", "t3"):
        surfaces = folder / "results" / "surfaces" / stem
        surfaces.mkdir(parents=True)
        row = {"name": "m", "kind": "medial", "label": "1", "roi": 1, "source": "m.mrc", "area_nm2": 3.0}
        pd.DataFrame([row]).to_csv(surfaces / "surfaces.csv", index=False)
        rois = rois_from_masks([(1, 1, 1)], [np.ones((2, 2, 2), bool)], SHAPE, 2.0, (0.0, 0.0, 0.0))
        (folder / "results" / "rois").mkdir(exist_ok=True)
        write_rois_archive(folder / "results" / "rois" / f"{stem}__rois.npz", rois)
    tables = pooled_tables(read_project(folder))
    for table in (tables.rois, tables.surfaces):
        assert table[["tomogram", "condition", "grid"]].values.tolist() == [["t1_rec", "wt", "g1"]]
        assert list(table)[:3] == ["tomogram", "condition", "grid"]
    assert len(tables.distances) == 0


def test_new_finds_what_lies_there(folder):
    (folder / "project.toml").unlink()
    (folder / "tomograms.csv").unlink()
    (folder / "m.safetensors").write_bytes(b"weights")
    assert run_command("tomosurf", "new", folder).returncode == 0
    assert inputs_in(folder) == {
        "membranes": "membranes",
        "tomograms": ("tomograms",),
        "model": "m.safetensors",
    }
    project = read_project(folder)
    assert project.settings == ProjectSettings(model="m.safetensors")
    assert list(pd.read_csv(folder / "tomograms.csv")["name"]) == list(STEMS)
    assert len(project.included) == 3


def test_new_takes_every_folder_of_tomograms(tmp_path):
    for place in ("session1", "session2"):
        (tmp_path / place).mkdir()
        write_volume(tmp_path / place / f"{place}_t1.mrc", Volume(np.zeros(SHAPE, np.float32), 2.0))
    run_command("tomosurf", "new", tmp_path)
    assert read_project(tmp_path).settings.tomograms == ("session1", "session2")
    assert [plan.stem for plan in read_project(tmp_path).plans] == ["session1_t1", "session2_t1"]


def test_new_in_an_empty_folder_leaves_the_defaults(tmp_path):
    said = run_command("tomosurf", "new", tmp_path / "mine").stdout
    assert "found nothing" in said
    assert not (tmp_path / "mine" / "tomograms.csv").exists()
