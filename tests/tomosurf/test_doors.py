"""Every door does the same: the tools' own commands and `tomosurf run` leave the same files and records."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from command_line import run_command
from two_vesicles import write_project

from surfora.geometry.files import read_surface

pytestmark = pytest.mark.slow

OF_A_RUN = ("provenance", "source")
"""What names the run and the place of its inputs, and so differs."""
SETTINGS = "[predict]\norientations = 2\n[instances]\nmin_volume_nm3 = 1000.0\n"


@pytest.fixture(scope="module")
def doors(tmp_path_factory):
    """Results of one project by `tomosurf run` with all cores, and of the same files by hand on one."""
    folder = write_project(tmp_path_factory.mktemp("doors"))
    (folder / "model.safetensors").rename(folder / "m.safetensors")
    (folder / "project.toml").write_text('truth = "labels"\nmodel = "m.safetensors"\n' + SETTINGS)
    (folder / "tools.toml").write_text(SETTINGS)
    for command in (
        "tomosurf run .",
        "tomorois predict m.safetensors tomograms -o hand/confidence -s tools.toml",
        "tomorois instances hand/confidence --membranes membranes -o hand/rois -s tools.toml",
        "tomorois evaluate --predicted hand/rois --truth labels -o hand/metrics.json --model m.safetensors",
        "surfora run membranes/t1__membranes.mrc --rois hand/rois/t1__rois.npz -o hand/surfaces/t1 -j 1",
        "surfora run membranes/t2__membranes.mrc --rois hand/rois/t2__rois.npz -o hand/surfaces/t2 -j 1",
    ):
        result = run_command(*command.split(), cwd=folder)
        assert result.returncode == 0, (command, result.stderr)
    return folder / "results", folder / "hand"


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("step", ["confidence", "rois", "surfaces/t1", "surfaces/t2"])
def test_the_same_files(doors, step):
    project, hand = (door / step for door in doors)
    assert names_in(project) == names_in(hand)


def test_the_same_maps_and_records(doors):
    project, hand = (door / "confidence" for door in doors)
    for name in names_in(project):
        assert (project / name).read_bytes() == (hand / name).read_bytes()
    record = json.loads((project / "t1__confidence.json").read_text())
    assert record["orientations"] == 2
    assert record["model"] == "m.safetensors"


def test_the_same_rois_split_by_contacts_since_membranes_are_given(doors):
    project, hand = (door / "rois" for door in doors)
    for ending in ("csv", "npz", "mrc"):
        for name in (f"t1__rois.{ending}", f"t2__rois.{ending}"):
            assert (project / name).read_bytes() == (hand / name).read_bytes()
    assert pd.read_csv(project / "t1__rois.csv")["membranes"].tolist() == ["1:2"]


def test_the_same_surfaces_and_tables(doors):
    for tomogram in ("t1", "t2"):
        project, hand = (door / "surfaces" / tomogram for door in doors)
        for name in names_in(project):
            if name.endswith(".vtp"):
                ours, theirs = read_surface(project / name), read_surface(hand / name)
                assert set(ours.data) == set(theirs.data)
                for array in ours.data:
                    np.testing.assert_array_equal(ours.data[array], theirs.data[array])
            elif name.endswith(".csv"):
                tables = [
                    pd.read_csv(door / name).drop(columns=list(OF_A_RUN), errors="ignore")
                    for door in (project, hand)
                ]
                pd.testing.assert_frame_equal(*tables)


def test_the_same_scores(doors):
    project, hand = (json.loads((door / "metrics.json").read_text()) for door in doors)
    assert project == hand
    assert project["tomograms_trained_on"] == ["t1", "t2"]


def test_a_map_without_any_contact_is_a_result_behind_every_door(doors, tmp_path):
    shutil.copytree(doors[0].parent, tmp_path, dirs_exist_ok=True)
    strict = SETTINGS.replace("min_volume_nm3 = 1000.0", "threshold = 0.9999")
    (tmp_path / "project.toml").write_text('truth = "labels"\nmodel = "m.safetensors"\n' + strict)
    (tmp_path / "tools.toml").write_text(strict)
    again = run_command("tomosurf", "run", ".", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("no ROI, so no surface is measured") == 2
    assert json.loads((tmp_path / "results" / "metrics.json").read_text())["scores"]["recall"]["value"] == 0
    for command in (
        "tomorois instances hand/confidence --membranes membranes -o none -s tools.toml",
        "tomorois evaluate --predicted none --truth labels -o none.json",
        "surfora run membranes/t1__membranes.mrc --rois none/t1__rois.npz -o nothing",
    ):
        result = run_command(*command.split(), cwd=tmp_path)
        assert result.returncode == 0, (command, result.stderr)
    assert (tmp_path / "nothing" / "report.html").exists()
