"""`tomosurf` as a user runs it: a project from its template to its report, resumed and refused."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from command_line import refusal_of, run_command
from two_vesicles import EDGE_NM, GAP_NM, RADIUS_NM, two_vesicles, write_project

from tomocore.columns import ROI_COLUMNS
from tomocore.volumes.formats import read_volume, write_volume
from tomocore.volumes.volume import Volume

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A folder with two tomograms, their membranes and truth, a trained model and a project file."""
    folder = write_project(tmp_path_factory.mktemp("project"))
    (folder / "project.toml").write_text('truth = "labels"\n[instances]\nsplit = "contacts"\n')
    return folder


def test_from_project_file_to_report(project):
    assert run_command("tomosurf", "validate", project).returncode == 0
    result = run_command("tomosurf", "run", project, "--jobs", "1")
    assert result.returncode == 0, result.stdout + result.stderr
    results = project / "results"
    metrics = json.loads((results / "metrics.json").read_text())
    assert metrics["counts"]["fn"] == 0
    rois = pd.read_csv(results / "rois.csv")
    assert set(rois["tomogram"]) == {"t1", "t2"}
    assert set(rois["membranes"]) == {"1:2"}
    distances = pd.read_csv(results / "distances.csv")
    assert len(distances) == 2 * len(rois)
    assert distances["min_nm"].to_numpy() == pytest.approx(GAP_NM, abs=0.4)
    contacts = pd.read_csv(results / "contacts.csv")
    assert set(contacts["tomogram"]) == {"t1", "t2"}
    assert contacts["gap_min_nm"].to_numpy() == pytest.approx(GAP_NM, abs=0.4)
    surfaces = pd.read_csv(results / "surfaces.csv")
    radius = 1 / surfaces["mean_curvature_median_per_nm"]
    assert radius.to_numpy() == pytest.approx(RADIUS_NM, rel=0.05)
    html = (results / "report.html").read_text()
    assert "https://" not in html
    assert "Scores against the truth" in html
    assert "Contacts of all tomograms" in html
    assert "contact 1: membranes 1 and 2" in html
    assert html.count(">t1<") == html.count('scope="rowgroup">t1<') + 3  # its picture, scores and inputs
    assert {column.key for column in ROI_COLUMNS} >= set(rois)

    status = run_command("tomosurf", "status", project, own_process=True)
    assert status.stdout.count("done") == 6
    before = (results / "confidence" / "t1__confidence.mrc").stat().st_mtime_ns
    assert run_command("tomosurf", "run", project).returncode == 0
    assert (results / "confidence" / "t1__confidence.mrc").stat().st_mtime_ns == before


def test_conditions_beside_the_project_are_compared_in_its_report(project):
    (project / "tomograms.csv").write_text("name,condition\nt1,wt\nt2,ko\n")
    result = run_command("tomosurf", "run", project)
    assert result.returncode == 0, result.stderr
    results = project / "results"
    table = pd.read_csv(results / "comparison" / "comparisons.csv")
    assert {"rois", "surfaces"} <= set(table["table"])
    assert table["p"].isna().all()  # one tomogram a condition
    html = (results / "report.html").read_text(encoding="utf-8")
    assert "Differences between conditions" in html
    assert "fewer than 2 tomograms" in html
    (project / "tomograms.csv").write_text("name,condition\nt1,wt\nt2,wt\n")
    assert run_command("tomosurf", "report", project).returncode == 0
    html = (results / "report.html").read_text(encoding="utf-8")
    assert "conditions are not compared" in html
    assert "one condition alone, wt" in html
    (project / "tomograms.csv").unlink()


def test_a_new_project_file_holds_every_setting(tmp_path):
    assert run_command("tomosurf", "new", tmp_path / "mine").returncode == 0
    text = (tmp_path / "mine" / "project.toml").read_text()
    assert "[surfora.curvature]" in text
    assert "exists already" in refusal_of(run_command("tomosurf", "new", tmp_path / "mine"))


def test_validate_says_all_that_is_wrong_at_once(project, tmp_path):
    (tmp_path / "tomograms").mkdir()
    write_volume(tmp_path / "tomograms" / "t7.mrc", two_vesicles(7)[0])
    (tmp_path / "project.toml").write_text("")
    lines = problems_in(run_command("tomosurf", "validate", tmp_path))
    assert len(lines) == 2
    assert "model.safetensors: no such model" in lines[0]
    assert "t7__membranes.mrc: no such file" in lines[1]


def problems_in(result):
    """The lines of `validate`; asserts its status, and that there is no traceback."""
    assert result.returncode == 1, result.stdout + result.stderr
    assert "Traceback" not in result.stderr
    return [line for line in result.stderr.splitlines() if line.startswith("failed")]


def test_validate_finds_grids_that_do_not_fit(project, tmp_path):
    (tmp_path / "tomograms").mkdir()
    (tmp_path / "membranes").mkdir()
    tomogram, membranes, _ = two_vesicles(7)
    halved = Volume(membranes.data[::2, ::2, ::2], 2 * EDGE_NM)
    for stem, masks in (("binned", halved), ("cut", membranes.with_data(membranes.data[:-4]))):
        write_volume(tmp_path / "tomograms" / f"{stem}.mrc", tomogram)
        write_volume(tmp_path / "membranes" / f"{stem}__membranes.mrc", masks)
    model = (project / "model.safetensors").resolve()
    (tmp_path / "project.toml").write_text(f'model = "{model}"\n')
    lines = problems_in(run_command("tomosurf", "validate", tmp_path))
    assert len(lines) == 2
    assert "binned__membranes.mrc: 20 × 28 × 28 voxels of 4 nm" in lines[0]
    assert "in shape and voxel size" in lines[0]
    assert "cut__membranes.mrc" in lines[1]
    assert "in shape;" in lines[1]


def test_truth_may_be_known_of_some_tomograms(project, tmp_path):
    shutil.copytree(project, tmp_path, dirs_exist_ok=True)
    (tmp_path / "labels" / "t2__truth.npz").unlink()
    some = run_command("tomosurf", "validate", tmp_path)
    assert some.returncode == 0
    assert some.stdout.splitlines()[:2] == [
        "t1.mrc: t1__membranes.mrc, t1__truth.npz",
        "t2.mrc: t2__membranes.mrc, no truth",
    ]
    (tmp_path / "labels" / "t1__truth.npz").unlink()
    assert "t1__truth.npz: no such file" in problems_in(run_command("tomosurf", "validate", tmp_path))[0]


def test_validate_finds_voxels_unlike_those_trained_on(project, tmp_path):
    (tmp_path / "tomograms").mkdir()
    (tmp_path / "membranes").mkdir()
    tomogram, membranes, _ = two_vesicles(7)
    write_volume(tmp_path / "tomograms" / "far.mrc", Volume(tomogram.data, 5 * EDGE_NM))
    write_volume(tmp_path / "membranes" / "far__membranes.mrc", Volume(membranes.data, 5 * EDGE_NM))
    (tmp_path / "project.toml").write_text(f'model = "{(project / "model.safetensors").resolve()}"\n')
    (line,) = problems_in(run_command("tomosurf", "validate", tmp_path))
    assert "far: the tomogram has 10 nm a voxel, the network was trained at 2 nm" in line


def test_one_tomogram_without_membranes_does_not_stop_the_other(project, tmp_path):
    for name in ("tomograms", "membranes"):
        (tmp_path / name).mkdir()
    tomogram, membranes, _ = two_vesicles(1)
    for stem in ("a", "b"):
        write_volume(tmp_path / "tomograms" / f"{stem}.mrc", tomogram)
    write_volume(tmp_path / "membranes" / "b__membranes.mrc", membranes)
    model = (project / "model.safetensors").resolve()
    (tmp_path / "project.toml").write_text(f'model = "{model}"\n')
    result = run_command("tomosurf", "run", tmp_path, "--jobs", "1")
    assert result.returncode == 1
    assert "a__membranes" in result.stderr
    assert (tmp_path / "results" / "surfaces" / "b" / "report.html").exists()
    assert "1 failure<" in (tmp_path / "results" / "report.html").read_text()


def test_a_second_model_draws_the_membranes_that_the_first_one_sees(project, tmp_path):
    tomograms, drawing = project / "tomograms", tmp_path / "membranes.safetensors"
    short = (project / "s.toml").read_text().replace("120", "60")
    (tmp_path / "s.toml").write_text(short)
    labels = sorted((project / "membranes").glob("*.mrc"))
    words = ("train", "--tomograms", tomograms, "--labels", *labels, "-o", drawing, "-s", "s.toml")
    assert run_command("tomorois", *words, cwd=tmp_path).returncode == 0
    assert run_command("tomorois", "predict", drawing, tomograms, "-o", "drawn", cwd=tmp_path).returncode == 0
    words = (
        "--labels",
        project / "labels",
        "--membranes",
        "drawn",
        "-o",
        "model.safetensors",
        "-s",
        "s.toml",
    )
    result = run_command("tomorois", "train", "--tomograms", tomograms, *words, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    settings = {"tomograms": [str(tomograms / "t1.mrc")], "membranes": str(project / "membranes")}
    lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
    (tmp_path / "project.toml").write_text("\n".join([*lines, 'membrane_model = "other.safetensors"']))
    (line,) = problems_in(run_command("tomosurf", "validate", tmp_path))
    assert "other.safetensors: no such model" in line
    blind = json.dumps(str((project / "model.safetensors").resolve()))
    drawn = f'membrane_model = "{drawing.name}"'
    (tmp_path / "project.toml").write_text("\n".join([*lines, drawn, f"model = {blind}"]))
    assert "trained without membranes" in refusal_of(run_command("tomosurf", "run", tmp_path))
    (tmp_path / "project.toml").write_text("\n".join([*lines, drawn]))
    result = run_command("tomosurf", "run", tmp_path, "--jobs", "1")
    assert result.returncode == 0, result.stderr
    by_hand, by_project = (
        read_volume(tmp_path / name).data
        for name in ("drawn/t1__confidence.mrc", "results/drawn/t1__membranes.mrc")
    )
    np.testing.assert_array_equal(by_project, by_hand)
    assert len(pd.read_csv(tmp_path / "results" / "rois.csv")) >= 1
