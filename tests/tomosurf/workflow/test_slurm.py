"""Projects run as jobs of a real Slurm of one node: what is killed or left over, and a run after it."""

import json
import os
import signal
import subprocess
import time

import pytest
from slurm_node import slurm_node
from tomosurf_stand_in import made_in, run_beside, stand_in_project

from tomocore.contract import InputError, Watcher
from tomosurf.project import STEPS, read_project
from tomosurf.run import run_project
from tomosurf.workflow.run import WorkflowRequest, run_workflow
from tomosurf.workflow.slurm import end_jobs, job_prefix, jobs_in_queue, status_command

pytest.importorskip("snakemake_executor_plugin_slurm")
pytestmark = pytest.mark.slow
ON_SLURM = WorkflowRequest(slurm=True)
WAITS_S = 240.0
SETTINGS = "[cluster]\npoll_seconds = 2\nthreads = 1\nminutes = 10\nstall_minutes = 10.0\n"


class Listener(Watcher):
    """Keeps the lines that it is told."""

    def __init__(self):
        self.lines = []

    def say(self, line):
        self.lines.append(line.strip())


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    """A Slurm of one node; all commands of this process find it."""
    with slurm_node(tmp_path_factory.mktemp("slurm") / "node") as node:
        before = os.environ.get("SLURM_CONF")
        os.environ.update(node.environment)
        yield node
        del os.environ["SLURM_CONF"]
        if before is not None:
            os.environ["SLURM_CONF"] = before


@pytest.fixture
def folder(tmp_path, monkeypatch, node):
    """A project of two tomograms whose steps are done by a stand-in."""
    return stand_in_project(tmp_path, monkeypatch, ("t1", "t2"), SETTINGS)


def until(condition, what):
    """Wait until something holds; what it gives."""
    end = time.monotonic() + WAITS_S
    while not (found := condition()):
        assert time.monotonic() < end, what
        time.sleep(0.2)
    return found


def test_a_job_killed_in_the_middle_is_one_line_and_the_rest_goes_on(folder, node):
    """The map of t1 is killed by Slurm as it is made; a second run, in this process, finishes it."""
    (folder / "behaviour.json").write_text(json.dumps({"t1 confidence": "wait for t2 surfaces and die"}))
    batch = run_workflow(read_project(folder), ON_SLURM)
    assert batch.done == ["t2"]
    assert "t1: the job of confidence ended without a word, so it was killed" in batch.failed["t1"]
    assert made_in(folder) == ["t1 confidence", *(f"t2 {step}" for step in sorted(STEPS))]
    assert node.jobs() == []
    assert status_command() == "squeue"


def test_what_slurm_does_not_take_is_told_in_its_words(folder, node):
    (folder / "project.toml").write_text(SETTINGS + "prediction_gpus = 1\n")
    with pytest.raises(InputError, match=r"Slurm takes no job: Invalid generic resource.*; see \[cluster\]"):
        run_workflow(read_project(folder), ON_SLURM)
    assert made_in(folder) == []
    assert node.jobs() == []


def test_jobs_of_a_killed_run_are_cancelled_before_the_next_begins(folder, node):
    """SIGKILL of the run leaves its jobs to Slurm; the next, without Slurm, ends them first, and says so."""
    (folder / "behaviour.json").write_text(json.dumps({f"t{n} confidence": "sleep" for n in (1, 2)}))
    run = subprocess.Popen([*run_beside(folder), "slurm"])
    try:
        until(lambda: (folder / "made.txt").exists() or run.poll() is not None, "a step begins")
        assert run.poll() is None
    finally:
        run.send_signal(signal.SIGKILL)
        run.wait()
    prefix = job_prefix(read_project(folder).output)
    left = jobs_in_queue(prefix)
    assert left
    listener = Listener()
    project = read_project(folder)
    seen = []

    def nothing_runs(self, step, plan, *_):
        seen.append(jobs_in_queue(prefix))
        return True

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tomosurf.steps.StepMaker.make", nothing_runs)
        run_project(project, watcher=listener)
    assert seen[0] == []
    assert f"cancelled {len(left)} jobs of an earlier run that was broken off" in listener.lines
    assert end_jobs(prefix) == 0


def test_a_lost_node_is_one_line_a_tomogram_and_a_run_after_it_finishes(folder, node):
    """The node dies with both jobs at work; the run ends, and one that follows once it is back makes all."""
    (folder / "behaviour.json").write_text(json.dumps({f"t{n} confidence": "sleep" for n in (1, 2)}))
    run = subprocess.Popen(
        [*run_beside(folder, "print(json.dumps(batch.failed))"), "slurm"], stdout=subprocess.PIPE
    )
    try:
        until(lambda: len(made_in_so_far(folder)) == 2 or run.poll() is not None, "both maps are begun")
        node.end_node()
        failed = json.loads(run.communicate(timeout=WAITS_S)[0])
    finally:
        run.kill()
        node.start_node()
    assert set(failed) == {"t1", "t2"}
    for name, line in failed.items():
        assert line.startswith(f"{name}: the job of confidence ended without a word, so it was killed")
        assert "or with its node" in line
    until(lambda: node.jobs() == [], "no job is left")
    (folder / "behaviour.json").unlink()
    made_in(folder)
    assert run_workflow(read_project(folder), ON_SLURM).done == ["t1", "t2"]
    assert made_in(folder) == [f"{stem} {step}" for stem in ("t1", "t2") for step in sorted(STEPS)]


def made_in_so_far(folder):
    """The steps that were begun."""
    path = folder / "made.txt"
    return path.read_text().splitlines() if path.exists() else []
