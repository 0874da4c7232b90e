"""Projects run as jobs by Snakemake on this machine: what is told, kept and ended."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from tomosurf_stand_in import made_in, run_beside, stand_in_project

import tomosurf.workflow.run
from tomocore.contract import Batch, InputError, NoRoomError, Watcher
from tomocore.locks import LockedError, clear_of_dead, file_lock
from tomocore.machine import ProcessMark, this_process
from tomocore.volumes.formats import write_volume
from tomocore.volumes.volume import Volume
from tomosurf.project import STEPS, read_project
from tomosurf.run import run_project
from tomosurf.steps import StepMaker
from tomosurf.workflow.gpus import own_gpus, require_gpus, visible_gpus
from tomosurf.workflow.job_folder import job_folder
from tomosurf.workflow.job_process import make_step
from tomosurf.workflow.jobs import jobs_of, write_plan
from tomosurf.workflow.memory import step_memory_bytes
from tomosurf.workflow.run import WorkflowRequest, run_workflow

pytest.importorskip("snakemake")


class Listener(Watcher):
    """Keeps the lines that it is told."""

    def __init__(self):
        self.lines = []

    def say(self, line):
        self.lines.append(line.strip())


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A project of three tomograms whose steps are done by a stand-in."""
    return stand_in_project(tmp_path, monkeypatch, ("t1", "t2", "t3"), "[cluster]\nstall_minutes = 5.0\n")


def test_failures_are_told_and_the_others_go_on(folder):
    told = {"t1 rois": "fail: no membrane", "t2 surfaces": "die"}
    (folder / "behaviour.json").write_text(json.dumps(told))
    listener = Listener()
    batch = run_workflow(read_project(folder), WorkflowRequest(cores=3), listener)
    assert batch.done == ["t3"]
    assert batch.failed["t1"] == "t1: fail: no membrane"
    assert "t2: the job of surfaces ended without a word, so it was killed" in batch.failed["t2"]
    expected = {f"{stem} {step}" for stem in ("t1", "t2", "t3") for step in STEPS} - {"t1 surfaces"}
    assert made_in(folder) == sorted(expected)
    assert "t3, surfaces (not done yet):" in listener.lines
    record = json.loads((folder / "results" / "run.json").read_text())
    assert set(record["failures"]) == {"t1", "t2"}
    assert record["warnings"] == ["looks dark"]
    assert job_folder(read_project(folder)).log.exists()
    assert not list((folder / "results").rglob(".*"))
    (folder / "behaviour.json").unlink()
    (folder / "only.txt").write_text("t2\n")
    assert run_workflow(read_project(folder, folder / "only.txt"), WorkflowRequest()).done == ["t2"]
    assert not job_folder(read_project(folder)).path.exists()


def test_a_training_is_a_job_before_all_others_which_wait_where_it_fails(tmp_path, monkeypatch):
    folder = stand_in_project(tmp_path, monkeypatch, ("t1",), 'annotations = "annotations"\n')
    (folder / "behaviour.json").write_text(json.dumps({"training training": "fail: no ROI in any label"}))
    batch = run_workflow(read_project(folder), WorkflowRequest())
    assert batch.failed == {"training": "training: fail: no ROI in any label"}
    assert batch.skipped == {"t1": "waits for the model"}
    assert made_in(folder) == ["training training"]
    (folder / "behaviour.json").unlink()
    listener = Listener()
    assert run_workflow(read_project(folder), WorkflowRequest(), listener).done == ["training", "t1"]
    made = (folder / "made.txt").read_text().splitlines()
    assert made == ["training training", *(f"t1 {step}" for step in STEPS)]
    assert "training, training (no model yet):" in listener.lines


def test_a_full_disk_ends_the_run_in_one_line(folder):
    told = {"t1 confidence": "fail: no space left", "t2 confidence": "sleep", "t3 confidence": "sleep"}
    (folder / "behaviour.json").write_text(json.dumps(told))
    with pytest.raises(NoRoomError, match="no space left"):
        run_workflow(read_project(folder), WorkflowRequest(cores=3))
    assert not [one for one in psutil.Process().children(recursive=True) if "stand_in" in str(one.cmdline())]


def test_a_second_run_is_refused_and_a_killed_one_leaves_nothing_running(folder):
    """The run is killed by SIGKILL in the middle; its steps die with it, and the next run goes on."""
    (folder / "behaviour.json").write_text(json.dumps({f"t{n} confidence": "sleep" for n in (1, 2, 3)}))
    begun = subprocess.Popen([*run_beside(folder), "here"])
    try:
        until = time.monotonic() + 120
        while len(sleeping(folder)) < 2:
            assert begun.poll() is None
            assert time.monotonic() < until
            time.sleep(0.1)
        for second in (run_workflow, lambda project, request: run_project(project)):
            with pytest.raises(LockedError, match="is being written by"):
                second(read_project(folder), WorkflowRequest())
        steps = sleeping(folder)
    finally:
        begun.send_signal(signal.SIGKILL)
        begun.wait()
    gone, alive = psutil.wait_procs(steps, timeout=10)
    assert (len(gone), alive) == (2, [])
    (folder / "behaviour.json").unlink()
    assert run_workflow(read_project(folder), WorkflowRequest(cores=2)).done == ["t1", "t2", "t3"]


def sleeping(folder):
    """The processes of steps of this project."""
    found = []
    for one in psutil.process_iter(["cmdline"]):
        words = one.info["cmdline"] or []
        if str(folder / "stand_in") in words and "tomosurf.workflow.job_process" in words:
            found.append(one)
    return found


def test_snakemake_that_does_not_run_is_told_in_one_line(folder, monkeypatch):
    monkeypatch.setattr(
        "tomosurf.workflow.run._words", lambda *_: ["--snakefile", "none", "--directory", str(folder)]
    )
    with pytest.raises(InputError, match=r"Snakemake ended with status 1 before any step did: .*none.*; see"):
        run_workflow(read_project(folder), WorkflowRequest())


def test_a_run_in_which_nothing_goes_on_gives_up(folder, monkeypatch):
    idle = [sys.executable, "-c", "import time; time.sleep(600)"]
    begin = subprocess.Popen
    monkeypatch.setattr("subprocess.Popen", lambda words, **how: begin(idle, **how))
    (folder / "project.toml").write_text("[cluster]\nstall_minutes = 0.02\n")
    with pytest.raises(InputError, match=r"no job for 0\.02 minutes, and 9 steps are left"):
        run_workflow(read_project(folder), WorkflowRequest())


def test_an_interrupt_while_a_run_ends_leaves_nothing_of_snakemake(folder, monkeypatch):
    hidden = job_folder(read_project(folder)).path / ".snakemake"
    begin, end = subprocess.Popen, tomosurf.workflow.run.end_tree
    monkeypatch.setattr("subprocess.Popen", lambda words, **how: begin(["mkdir", str(hidden)], **how))

    def interrupted(engine):
        end(engine)
        assert hidden.is_dir()
        raise KeyboardInterrupt

    monkeypatch.setattr("tomosurf.workflow.run.end_tree", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_workflow(read_project(folder), WorkflowRequest())
    assert not hidden.exists()


def test_gpus_are_taken_by_one_process_each(tmp_path, monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, GPU-5f,-1")
    assert visible_gpus() == ["3", "GPU-5f"]
    with own_gpus(1, tmp_path) as first:
        assert (first, os.environ["CUDA_VISIBLE_DEVICES"]) == (["3"], "3")
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,GPU-5f")  # as another process has it
        with own_gpus(1, tmp_path) as second:
            assert second == ["GPU-5f"]
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "3, GPU-5f,-1"
    with own_gpus(2, tmp_path) as both:
        assert both == ["3", "GPU-5f"]
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    with own_gpus(2, tmp_path) as given:
        assert given == []


def test_gpus_that_are_not_there_are_asked_for_in_vain_before_anything_begins(folder, monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    (folder / "project.toml").write_text("[cluster]\nprediction_gpus = 1\ntraining_gpus = 1\n")
    with pytest.raises(InputError, match=r"prediction_gpus = 1, and GPUs .*: 0; set it to 0"):
        run_workflow(read_project(folder), WorkflowRequest())
    assert made_in(folder) == []
    cluster = read_project(folder).settings.cluster
    require_gpus({"rois", "surfaces"}, cluster)
    with pytest.raises(InputError, match="training_gpus"):
        require_gpus({"training"}, cluster)


def test_a_step_that_gets_no_gpu_says_so(folder, monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr("tomosurf.workflow.gpus.WAIT_S", 0.0)
    monkeypatch.chdir(folder)
    (folder / "project.toml").write_text("[cluster]\nprediction_gpus = 1\n")
    project = read_project(folder)
    place, job = job_folder(project), jobs_of(project, StepMaker(project), False, Batch())[0]
    write_plan(place, project, [job], 1, overwrite=False, slurm=False)
    assert make_step(place.path, job.name, "confidence", 1) == 1
    assert "1 GPUs are not free" in place.word_of(job.name, "confidence").failure


def test_locks_and_leftovers_of_the_dead_are_taken_away(tmp_path):
    mine = this_process()
    for name, mark, command in (
        ("dead", ProcessMark(mine.place, 2**22 - 3, "1"), "tomosurf run"),
        ("far", ProcessMark("elsewhere", 7, "1"), "job_process.py /p/results/workflow"),
        ("other", ProcessMark("elsewhere", 8, "1"), "tomorois predict"),
        ("alive", mine, "tomosurf run"),
    ):
        held = {"mark": vars(mark), "machine": "m", "command": command, "since": ""}
        file_lock(tmp_path / name).write_text(json.dumps(held))
    clear_of_dead(tmp_path, "job_process.py /p/results/workflow")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".alive.lock", ".other.lock"]


def test_memory_follows_the_size_of_the_tomogram(folder):
    (folder / "project.toml").write_text("[predict]\nmax_memory_gib = 0.5\n")
    project = read_project(folder)
    small = step_memory_bytes("surfaces", project.plans[0], project.settings, None)
    write_volume(Path(project.plans[0].tomogram), Volume(np.zeros((40, 50, 60), np.float32), 2.0))
    assert step_memory_bytes("surfaces", project.plans[0], project.settings, None) - small == 30 * (
        40 * 50 * 60 - 4 * 5 * 6
    )
