"""What jobs cost beside their steps: projects whose steps do nothing, run here by Snakemake, and planned dry.

    python benchmarks/workflow_overhead.py --run 20 200 --dry 200 2000

CPU seconds of all processes, from reading the project to its record, by number of tomograms, of which each
has three steps.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from tomosurf_stand_in import stand_in_project

from tomocore.contract import Batch
from tomosurf.project import read_project
from tomosurf.steps import StepMaker
from tomosurf.workflow.job_folder import job_folder
from tomosurf.workflow.jobs import jobs_of, write_plan
from tomosurf.workflow.run import WorkflowRequest, _words, run_workflow

CORES = 2


def cpu_seconds() -> float:
    """Of this process and of all that it has waited for."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)


def run_through(folder: Path) -> str:
    """Run all tomograms by jobs; what came of it."""
    batch = run_workflow(read_project(folder), WorkflowRequest(cores=CORES))
    assert not batch.failed
    return f"{len(batch.done)} done"


def planned(folder: Path) -> str:
    """Plan all tomograms, and let Snakemake say what it would do; how much that is."""
    project = read_project(folder)
    jobs = jobs_of(project, StepMaker(project), overwrite=False, batch=Batch())
    place = job_folder(project)
    write_plan(place, project, jobs, 1, overwrite=False, slurm=False)
    words = _words(place, WorkflowRequest(cores=CORES), project.settings.cluster, "")
    dry = [sys.executable, "-m", "snakemake", *words, "--dry-run", "--quiet", "all"]
    subprocess.run(dry, check=True, capture_output=True)
    return f"{sum(len(one.reasons) for one in jobs)} steps"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=int, nargs="*", default=[20, 200])
    parser.add_argument("--dry", type=int, nargs="*", default=[200, 2000])
    asked = parser.parse_args()
    for work, counts in ((planned, asked.dry), (run_through, asked.run)):
        for count in counts:
            with tempfile.TemporaryDirectory() as place, pytest.MonkeyPatch.context() as patch:
                stems = [f"t{number:04d}" for number in range(count)]
                folder = stand_in_project(Path(place), patch, stems, "")
                before, start = cpu_seconds(), time.perf_counter()
                told = work(folder)
                used = cpu_seconds() - before
                print(
                    f"{work.__name__} {count}: {told}, {used:.1f} CPU-s, {1000 * used / count:.0f} ms a "
                    f"tomogram, {time.perf_counter() - start:.0f} s",
                    flush=True,
                )


if __name__ == "__main__":
    main()
