"""What a run of a project makes again, and why: records of steps against inputs, settings and versions."""

import importlib
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from command_line import run_command
from filling_disk import FillingDisk

import tomosurf.steps
from tomocore.contract import Batch, InputError, NoRoomError, Watcher
from tomocore.files import written_beside
from tomocore.provenance import file_hash
from tomocore.roiset import rois_from_masks, write_rois
from tomocore.volumes.formats import read_volume, write_volume
from tomocore.volumes.volume import Volume
from tomorois.annotation.curation import Curation
from tomosurf.current_report import bring_report_up_to_date
from tomosurf.pages.methods import methods_section
from tomosurf.pages.runs import cautions_of_runs, runs_of
from tomosurf.project import STEPS, read_project
from tomosurf.report import pooled_tables
from tomosurf.rounds import counted_path, damaged_judgements, rounds_of, stale_line, what_is_next
from tomosurf.run import run_project
from tomosurf.status import left_over, outdated, status_of_project
from tomosurf.step_records import StepBasis, read_step_record, reason_to_make, write_step_record
from tomosurf.steps import StepMaker, foreign_rois
from tomosurf.workflow.job_folder import job_folder, read_job
from tomosurf.workflow.job_process import make_step
from tomosurf.workflow.jobs import jobs_of, write_plan

SHAPE = (6, 8, 10)
BETTER = b"weights that find one more"
MEASURE = StepMaker._measure


class Listener(Watcher):
    """Keeps the lines that it is told."""

    def __init__(self):
        self.lines = []

    def say(self, line):
        self.lines.append(line.strip())


@pytest.fixture
def made():
    """Which steps were made, in order."""
    return []


@pytest.fixture
def folder(tmp_path, monkeypatch, made):
    """A project of two tomograms whose steps take no time: each writes what follows from its inputs."""
    data = np.zeros(SHAPE, np.int8)
    data[3] = 1
    for place in ("tomograms", "membranes"):
        (tmp_path / place).mkdir()
    for stem in ("t1", "t2"):
        write_volume(tmp_path / "tomograms" / f"{stem}.mrc", Volume(data.astype(np.float32), 2.0))
        write_volume(tmp_path / "membranes" / f"{stem}__membranes.mrc", Volume(data, 2.0))
    (tmp_path / "project.toml").write_text("")
    (tmp_path / "model.safetensors").write_bytes(b"weights")

    def predict(self, plan, overwrite, watcher):
        made.append(f"{plan.stem} confidence")
        plan.confidence.parent.mkdir(parents=True, exist_ok=True)
        write_volume(plan.confidence, Volume(read_volume(plan.tomogram).data + 0, 2.0))
        model = {"model": self.project.model.name, "model_sha256": file_hash(self.project.model)}
        plan.confidence.with_suffix(".json").write_text(json.dumps(model))

    def find_rois(self, plan, overwrite, watcher):
        made.append(f"{plan.stem} rois")
        plan.rois.parent.mkdir(parents=True, exist_ok=True)
        high = read_volume(plan.confidence).data > 0.5
        size = 1 + int(self.project.settings.instances.min_volume_nm3 > 1e6)
        masks = [np.ones((size, 2, 2), bool)] if high.any() else []
        masks *= 2 if self.project.model.read_bytes() == BETTER else 1
        rois = rois_from_masks([(1, 1, 1), (1, 4, 5)][: len(masks)], masks, SHAPE, 2.0, (0.0, 0.0, 0.0))
        write_rois(plan.rois.parent, plan.stem, rois, overwrite=True)

    def measure(self, plan, overwrite, watcher):
        made.append(f"{plan.stem} surfaces")
        plan.surfaces.mkdir(parents=True, exist_ok=True)
        size_nm = self.project.settings.surfora.mesh.pinhole_nm
        for name in (f"size{size_nm:g}.vtp", "report.html"):
            with written_beside(plan.surfaces / name) as beside:
                beside.write_text(name)

    monkeypatch.setattr("tomosurf.steps._sees_membranes", lambda project: False)
    for name, work in (("_predict", predict), ("_find_rois", find_rois), ("_measure", measure)):
        monkeypatch.setattr(StepMaker, name, work)
    return tmp_path


def run(folder, made, **options):
    """Run the project; what it made and what it said."""
    made.clear()
    listener = Listener()
    run_project(read_project(folder), watcher=listener, **options)
    return list(made), listener.lines


EVERYTHING = [f"{stem} {step}" for stem in ("t1", "t2") for step in STEPS]


def test_nothing_changed_so_nothing_is_made(folder, made):
    assert run(folder, made) == (EVERYTHING, [])
    assert run(folder, made) == ([], [])
    assert run(folder, made, overwrite=True)[0] == EVERYTHING


def test_the_folder_of_jobs_of_a_run_that_was_killed_at_its_end_goes_with_the_next(folder, made):
    assert run(folder, made)[0] == EVERYTHING
    left = job_folder(read_project(folder))
    (left.path / ".snakemake").mkdir(parents=True)
    left.record.write_text('{"slurm": ""}')
    assert run(folder, made) == ([], [])
    assert not left.path.exists()


ENGINES = {"numpy", "pandas", "scipy", "skimage", "numba", "pyvista", "torch", "matplotlib", "open3d"}


def test_a_run_with_nothing_to_do_loads_nothing_that_computes(folder, made):
    (folder / "tomograms.csv").write_text("name,condition\nt1,wt\n")
    assert run(folder, made)[0] == EVERYTHING
    code = (
        "import sys, tomosurf.steps, tomosurf.cli.app, tomosurf.report_record; from pathlib import Path\n"
        "tomosurf.steps._sees_membranes = lambda project: False\n"
        "from tomosurf.project import read_project; from tomosurf.run import run_project\n"
        "batch = run_project(read_project(Path(sys.argv[1])))\n"
        "print(len(batch.skipped), *sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True, check=True)
    skipped, *loaded = told.stdout.split()
    assert skipped == "2"
    assert not ENGINES & set(loaded)


def test_a_run_that_made_nothing_leaves_record_and_report_as_they_are(folder, made, monkeypatch):
    drawn = []

    def draw(project, watcher):
        drawn.append(project.report_folder)
        for name in ("report.html", "surfaces.csv"):
            (project.report_folder / name).write_text("drawn" if name.endswith("html") else "")
        return project.report_folder / "report.html"

    monkeypatch.setattr("tomosurf.report._report_written", draw)
    monkeypatch.setattr("tomosurf.cli.app.say_first_use", lambda *_: None)
    results, kept = folder / "results", "as it was: nothing that it is made from has changed"
    assert kept not in run_command("tomosurf", "run", folder).stdout
    before = (results / "run.json").read_bytes()
    assert kept in run_command("tomosurf", "run", folder).stdout
    assert (results / "run.json").read_bytes() == before
    (folder / "tomograms.csv").write_text("name,condition\nt1,wt\n")
    (folder / "only.txt").write_text("t2\n")
    for change in (
        lambda: None,
        lambda: (folder / "tomograms.csv").write_text("name,condition\nt1,ko\n"),
        lambda: (folder / "project.toml").write_text("[compare]\nreference = 'ko'\n"),
        lambda: (results / "report.html").unlink(),
        lambda: (results / "rois" / "t1__rois.csv").unlink(),
    ):
        change()
        assert kept not in run_command("tomosurf", "run", folder).stdout
        assert kept in run_command("tomosurf", "run", folder).stdout
    assert run_command("tomosurf", "report", folder, "--only", folder / "only.txt").returncode == 0
    assert drawn == [results] * 6 + [results / "reports" / "only"]
    assert kept in run_command("tomosurf", "run", folder).stdout
    assert (results / "run.json").read_bytes() != before


def test_a_report_that_was_broken_off_is_drawn_again(folder, made, monkeypatch):
    run(folder, made)
    project = read_project(folder)
    monkeypatch.setattr("tomosurf.report._report_written", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        bring_report_up_to_date(project)
    monkeypatch.setattr("tomosurf.report._report_written", lambda *_: folder / "report.html")
    assert bring_report_up_to_date(project) == (folder / "report.html", True)
    assert bring_report_up_to_date(project) == (folder / "results" / "report.html", False)


def test_full_at_some_write_a_project_says_so_in_one_line_and_goes_on_later(folder, made, monkeypatch):
    results = folder / "results"
    with monkeypatch.context() as patch:
        disk = FillingDisk(results, patch)
        run(folder, made)
    expected = files_of(results)
    assert disk.count >= 20
    for room in range(0, disk.count, 4):
        shutil.rmtree(results)
        with monkeypatch.context() as patch:
            FillingDisk(results, patch, room)
            with pytest.raises(
                NoRoomError, match=rf"{results}/\S+: (no space left|only a part).*; free some"
            ):
                run(folder, made)
        assert not [path for path in results.rglob("*") if path.name.startswith(".")], room
        run(folder, made)
        assert files_of(results) == expected, room
        assert run(folder, made) == ([], [])


def files_of(results):
    """The results of a project but for the records of its runs, whose times differ."""
    paths = [path for path in results.rglob("*") if path.is_file()]
    return {path: path.read_bytes() for path in paths if path.suffix != ".json"}


def test_settings_make_their_step_and_what_follows_of_it(folder, made):
    run(folder, made)
    (folder / "project.toml").write_text("[surfora.mesh]\npinhole_nm = 3.5\n")
    again, said = run(folder, made)
    assert again == ["t1 surfaces", "t2 surfaces"]
    assert said[:2] == ["t1:", "surfaces: surfora.mesh.pinhole_nm is 3.5, was 4.0"]
    assert not list((folder / "results" / "surfaces").glob("*/size4.vtp"))
    (folder / "project.toml").write_text(
        "[surfora.mesh]\npinhole_nm = 3.5\n[predict]\nmax_memory_gib = 3.0\n"
    )
    assert run(folder, made) == ([], [])  # how it is computed, not what comes of it


def test_results_of_other_settings_are_told_by_status_and_report(folder, made):
    run(folder, made)
    (folder / "project.toml").write_text("[instances]\nmin_volume_nm3 = 4000\n")
    (folder / "only.txt").write_text("t1\n")
    made.clear()
    run_project(read_project(folder, folder / "only.txt"))
    assert made == ["t1 rois"]
    project = read_project(folder)
    told = "instances.min_volume_nm3 is 4000.0, was 2000.0"
    assert [one.remark for one in status_of_project(project)] == ["", f"a run makes rois again: {told}"]
    runs = runs_of(project)
    (line,) = cautions_of_runs(runs, project)
    assert line.startswith(
        "t2: ROIs found with other settings than the project has now (min_volume_nm3: 2000.0"
    )
    (text, *_) = methods_section(project, runs, []).pasted
    assert "(these are the settings of 1 tomograms; 1 had others)" in text


def test_results_of_other_inputs_than_there_are_now_are_told(folder, made):
    run(folder, made)
    assert outdated(read_project(folder)) == []
    (folder / "tomograms.csv").write_text("name,voxel_size_nm\nt1,2.5\nt2,\n")
    project = read_project(folder)
    assert outdated(project) == ["t1: a run makes confidence again: voxel_size_nm is 2.5, was unset"]
    (folder / "project.toml").write_text("[surfora.mesh]\npinhole_nm = 3.0\n")
    assert len(outdated(read_project(folder))) == 1  # the other's settings are told as such


def test_status_hashes_no_large_file(folder, made, monkeypatch):
    """As after a copy of a project, whose tomograms all have another time."""
    run(folder, made)
    tomogram = folder / "tomograms" / "t1.mrc"
    tomogram.write_bytes(tomogram.read_bytes()[:-1] + b"x")
    os.utime(tomogram, (1, 1))
    project = read_project(folder)
    assert "t1.mrc changed" in status_of_project(project)[0].remark
    monkeypatch.setattr("tomosurf.step_records.MOST_GLANCED_BYTES", 100)
    assert status_of_project(project)[0].remark == ""
    assert "t1 confidence" in run(folder, made)[0]


def test_results_of_tomograms_that_are_gone_are_told(folder, made):
    run(folder, made)
    project = read_project(folder)
    assert left_over(project) == []
    judge(folder, "t1", "kept")
    for place, ending in (("tomograms", ".mrc"), ("membranes", "__membranes.mrc")):
        (folder / place / f"t1{ending}").rename(folder / place / f"t10{ending}")
    (line,) = left_over(read_project(folder))
    assert line.startswith("t1: no such tomogram any more, but results (judged are ROIs of t1)")


def test_the_same_rois_are_not_measured_again(folder, made):
    run(folder, made)
    (folder / "project.toml").write_text("[instances]\nmin_volume_nm3 = 7.0\n")
    again, said = run(folder, made)
    assert again == ["t1 rois", "t2 rois"]
    assert "instances.min_volume_nm3 is 7.0" in said[1]
    (folder / "project.toml").write_text("[instances]\nmin_volume_nm3 = 2e6\n")
    again, said = run(folder, made)
    assert again == ["t1 rois", "t1 surfaces", "t2 rois", "t2 surfaces"]
    assert "surfaces: t1__rois.npz changed" in said


def test_a_touched_file_is_the_same_and_a_changed_one_is_not(folder, made):
    run(folder, made)
    path = folder / "tomograms" / "t2.mrc"
    shutil.copy(path, folder / "copy.mrc")
    os.replace(folder / "copy.mrc", path)
    assert run(folder, made) == ([], [])
    kept = read_step_record(read_project(folder).plans[1].record_of("confidence"))
    assert kept.inputs["tomogram"].mtime_ns == path.stat().st_mtime_ns
    write_volume(path, Volume(np.ones(SHAPE, np.float32), 2.0))
    again, said = run(folder, made)
    assert again == ["t2 confidence", "t2 rois"]  # and the same ROIs came of it
    assert said == ["t2:", "confidence: t2.mrc changed", "rois: t2__confidence.mrc changed"]
    (folder / "model.safetensors").write_bytes(b"other weights")
    again, said = run(folder, made)
    assert again == ["t1 confidence", "t1 rois", "t2 confidence", "t2 rois"]
    assert "rois: t1__confidence.json changed" in said  # it names the model


def test_a_lost_result_and_another_version_are_made_again(folder, made, monkeypatch):
    run(folder, made)
    (folder / "results" / "rois" / "t1__rois.csv").unlink()
    (folder / "results" / "surfaces" / "t2" / "report.html").write_text("")
    again, said = run(folder, made)
    assert again == ["t1 rois", "t2 surfaces"]
    assert said[1] == "rois: rois/t1__rois.csv is gone"
    before = tomosurf.steps.VERSIONS["surfaces"]
    monkeypatch.setitem(tomosurf.steps.VERSIONS, "surfaces", before + 1)
    again, said = run(folder, made)
    assert again == ["t1 surfaces", "t2 surfaces"]
    assert said[1] == f"surfaces: computes otherwise since version {before + 1} (made by {before})"


def test_what_was_broken_off_keeps_nothing_of_another_making(folder, made, monkeypatch):
    """Surfaces of two makings, the second killed: the third leaves its own, and what a hand put there."""
    run(folder, made)
    there = folder / "results" / "surfaces" / "t1"
    (there / "mine.vtp").write_text("edited")
    whole = StepMaker._measure

    def killed(self, plan, overwrite, watcher):
        (plan.surfaces / "half.vtp").write_text("surface")
        raise InputError("killed")

    (folder / "project.toml").write_text("[surfora.mesh]\npinhole_nm = 3.0\n")
    monkeypatch.setattr(StepMaker, "_measure", killed)
    run(folder, made)
    record = read_step_record(read_project(folder).plans[0].record_of("surfaces"))
    assert (record.state, record.foreign) == ("begun", ["surfaces/t1/mine.vtp"])
    (folder / "project.toml").write_text("[surfora.mesh]\npinhole_nm = 5.0\n")
    monkeypatch.setattr(StepMaker, "_measure", whole)
    assert run(folder, made)[0] == ["t1 surfaces", "t2 surfaces"]
    assert sorted(path.name for path in there.iterdir()) == ["mine.vtp", "report.html", "size5.vtp"]


def test_results_without_records_are_kept_where_nothing_speaks_against_them(folder, made, monkeypatch):
    monkeypatch.setattr(StepMaker, "finder", type("Model", (), {"sha256": "abc"}))
    run(folder, made)
    shutil.rmtree(folder / "results" / "steps")
    for stem, model in (("t1", "abc"), ("t2", "def")):
        record = folder / "results" / "confidence" / f"{stem}__confidence.json"
        record.write_text(json.dumps({"model_sha256": model}))
    again, said = run(folder, made)
    assert again == [f"t2 {step}" for step in STEPS]  # ROIs that were found in the other model's map
    for step in STEPS:
        assert said.count(f"{step}: kept, made before the project had a record of it") == 1
    assert run(folder, made) == ([], [])


def write_window_rois(folder, stem):
    """ROIs as the window leaves them, where a run will look for its own."""
    rois = rois_from_masks([(0, 0, 0)], [np.ones((3, 3, 3), bool)], SHAPE, 2.0, (0.0, 0.0, 0.0))
    write_rois(folder / "results" / "rois", stem, rois, overwrite=True)


def test_rois_that_the_window_found_are_not_taken_for_those_of_the_runs_model(folder, made, monkeypatch):
    monkeypatch.setattr(StepMaker, "finder", type("Model", (), {"sha256": "abc"}))
    (folder / "results" / "rois").mkdir(parents=True)
    write_window_rois(folder, "t1")  # before the project has a model, and so a map
    again, said = run(folder, made)
    assert again == EVERYTHING
    assert said[1] == "rois: what is there was made before what it is to be made from; made again"
    assert foreign_rois(read_project(folder).plans[0]) == ""
    write_window_rois(folder, "t1")  # and with a model of the window
    assert run(folder, made)[0] == ["t1 surfaces"]
    project = read_project(folder)
    (line,) = cautions_of_runs(runs_of(project), project)
    assert line.startswith("t1: its ROIs are not those that a run found")
    assert status_of_project(project)[0].remark == line


def test_a_damaged_record_is_no_record(folder, made):
    run(folder, made)
    path = read_project(folder).plans[0].record_of("surfaces")
    path.write_text(path.read_text()[:100])
    assert run(folder, made)[0] == []  # its surfaces are whole, and kept
    (path.parent.parent / "surfaces" / "t1" / "report.html").unlink()
    path.write_text("{")
    assert run(folder, made)[0] == ["t1 surfaces"]


def test_reasons_in_words(tmp_path):
    path = tmp_path / "mask.mrc"
    path.write_bytes(b"mask")
    basis = StepBasis(1, {"a": {"b": 1, "c": (1, 2)}}, {"mask": path}, tmp_path)
    assert reason_to_make(None, basis) == "not done yet"
    begun = basis.begun(replaces=False)
    write_step_record(tmp_path / "steps" / "s.json", begun)
    begun = read_step_record(tmp_path / "steps" / "s.json")
    assert reason_to_make(begun, basis) == "was not finished"
    done = begun.model_copy(update={"state": "done"})
    assert reason_to_make(done, basis) == ""
    with_model = StepBasis(
        1, {"a": {"b": 2, "c": (1, 2), "d": None}}, {"mask": path, "model": path}, tmp_path
    )
    assert reason_to_make(done, with_model) == "a.b is 2, was 1; is made with model now"
    path.unlink()
    assert reason_to_make(done, basis) == "mask.mrc is gone"
    with pytest.raises(InputError, match=r"mask\.mrc: no such file"):
        basis.begun(replaces=False)


@pytest.fixture
def measured(folder, made, monkeypatch):
    """The files of ROIs that surfaces were measured within; the folder's project has been run once."""
    run(folder, made)
    found = []

    def run_masks(request, settings, watcher):
        found.append(request.rois[0].relative_to(folder / "results" / "rois").as_posix())
        request.folder.mkdir(parents=True, exist_ok=True)
        (request.folder / "report.html").write_text("measured")
        return Batch(watcher)

    importlib.import_module("surfora.intervals_of_run")  # now: it would keep what stands for run_masks here
    monkeypatch.setattr("surfora.batch.run_masks", run_masks)
    monkeypatch.setattr(StepMaker, "_measure", MEASURE)
    return found


def judge(folder, stem, *statuses):
    """Judge the ROIs of a tomogram, one after the other, and close the window."""
    curation = Curation(folder / "results" / "rois")
    for roi, status in zip(curation.of(stem), statuses, strict=False):
        curation.look_at(roi.key)
        curation.judge(status, go_on=False)
    curation.close()


def test_judged_rois_stand_in_place_of_those_found(folder, made, measured):
    judge(folder, "t1")  # looked at, and nothing said: curated/ is written, and the same ROIs count
    assert run(folder, made) == ([], [])
    judge(folder, "t1", "kept")
    _, said = run(folder, made)
    assert said[:2] == ["t1:", "surfaces: curated/t1__rois.npz stands in place of rois/t1__rois.npz"]
    assert measured == ["curated/t1__rois.npz"]
    assert run(folder, made) == ([], [])
    judge(folder, "t1", "rejected")
    assert "  no ROI, so no surface is measured".strip() in run(folder, made)[1]
    assert measured == ["curated/t1__rois.npz"]
    assert not list((folder / "results" / "surfaces" / "t1").glob("*.*"))
    assert pooled_tables(read_project(folder)).rois["tomogram"].tolist() == ["t2"]
    shutil.rmtree(folder / "results" / "rois" / "curated")
    assert "surfaces: rois/t1__rois.npz stands in place of curated/t1__rois.npz" in run(folder, made)[1]
    assert measured[-1] == "t1__rois.npz"


def test_jobs_measure_judged_rois_too(folder, made, measured, monkeypatch):
    judge(folder, "t2", "kept")
    project = read_project(folder)
    (job,) = jobs_of(project, StepMaker(project), overwrite=False, batch=Batch())
    assert (job.title, list(job.reasons)) == ("t2", ["surfaces"])
    place = job_folder(project)
    write_plan(place, project, [job], 1, overwrite=False, slurm=False)
    monkeypatch.chdir(folder)
    assert make_step(place.path, job.name, "surfaces", 1) == 0
    assert place.word_of(job.name, "surfaces").made
    assert measured == ["curated/t2__rois.npz"]
    assert counted_path(read_job(place, job.name)[0].plans[0]) == project.plans[1].curated
    shutil.rmtree(place.path)
    project = read_project(folder)
    assert jobs_of(project, StepMaker(project), overwrite=False, batch=Batch()) == []


def test_damaged_judgements_fail_their_tomogram_alone(folder, made, measured, monkeypatch):
    """With jobs and without: one line, surfaces as they were, and status and report go on."""
    monkeypatch.setattr(StepMaker, "finder", None)
    judge(folder, "t1", "kept")
    run(folder, made)
    surfaces = folder / "results" / "surfaces" / "t1"
    before = files_of(surfaces)
    curated = folder / "results" / "rois" / "curated" / "t1__rois.npz"
    curated.write_bytes(curated.read_bytes()[:200])
    write_volume(folder / "tomograms" / "t2.mrc", Volume(np.ones(SHAPE, np.float32), 2.0))
    project = read_project(folder)
    with_jobs = Batch()
    jobs = jobs_of(project, StepMaker(project), overwrite=False, batch=with_jobs)
    assert [job.title for job in jobs] == ["t2"]
    assert "curated/t1__rois.npz" in with_jobs.failed["t1"]
    here = run_project(project)
    assert (here.failed, here.done) == (with_jobs.failed, ["t2"])
    assert files_of(surfaces) == before
    assert damaged_judgements(project) == [here.failed["t1"]]
    assert pooled_tables(project).rois["tomogram"].tolist() == ["t2"]
    assert stale_line(project) == []
    assert rounds_of(project)[0].maps == 2
    assert "cannot be read" in run_command("tomosurf", "status", folder).stdout
    curated.with_name("curation.jsonl").write_text("{\n")
    assert "curation.jsonl" in damaged_judgements(project)[1]
    assert run_command("tomosurf", "status", folder).returncode == 0
    (folder / "tomograms" / "t2.mrc").write_bytes(b"no tomogram")
    assert jobs_of(project, StepMaker(project), overwrite=False, batch=with_jobs) == []
    assert "t2.mrc" in with_jobs.failed["t2"]


def test_rounds_tell_what_was_judged_after_which_model_and_what_is_stale(folder, made, measured):
    project = read_project(folder)
    (first,) = rounds_of(project)
    assert (first.model.name, first.maps, first.line) == ("model.safetensors", 2, "–")
    assert what_is_next(project, [first]).startswith(
        "nothing is judged after the last model: tomorois curate"
    )
    judge(folder, "t1", "kept")
    (first,) = rounds_of(project)
    assert first.line == "1 tomograms: 1 kept"
    assert what_is_next(project, [first]).startswith("judged after the last model: t1; refine it")
    (folder / "model.safetensors").write_bytes(BETTER)
    assert "has found no ROIs here yet" in what_is_next(project, rounds_of(project))
    again, _ = run(folder, made)
    assert again == ["t1 confidence", "t1 rois", "t2 confidence", "t2 rois"]
    assert measured == ["curated/t1__rois.npz", "t2__rois.npz"]  # of t1 when it was judged
    first, second = rounds_of(project)
    assert (first.maps, first.stale, second.maps, second.line) == (0, ["t1"], 2, "–")
    assert stale_line(project)[0].startswith("t1: measured within ROIs that were judged before")
    status = run_command("tomosurf", "status", folder).stdout
    assert "1 kept, stale" in status
    assert "ROIs of t1 were found again after they were judged" in status
    judge(folder, "t1")  # in the window the judgement is carried over to what was found again
    _, second = rounds_of(project)
    assert (second.line, second.stale, stale_line(project)) == ("1 tomograms: 1 kept, 1 unseen", [], [])
    assert "surfaces: t1__rois.npz changed" in run(folder, made)[1]
    models = folder / "results" / "models"
    models.mkdir()
    (models / "model_001.safetensors").write_bytes(b"refined")
    assert "trained since: results/models/model_001.safetensors" in what_is_next(project, rounds_of(project))
    ledger = (folder / "results" / "rounds.json").stat().st_mtime_ns
    run(folder, made)
    assert (folder / "results" / "rounds.json").stat().st_mtime_ns == ledger
