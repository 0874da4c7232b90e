"""A project whose steps are done by a stand-in for their process, so that only the jobs take time."""

import sys

import numpy as np

from tomocore.volumes.formats import write_volume
from tomocore.volumes.volume import Volume

STAND_IN = r"""#!{python}
# In place of a step's process: leaves its word, or does what a file beside the project says.
import json, os, pathlib, sys, time
from tomocore.machine import end_with_parent
end_with_parent(int(sys.argv[7]))
folder, name, step = pathlib.Path(sys.argv[3]), sys.argv[4], sys.argv[5]
behaviour = folder.parents[1] / "behaviour.json"
told = json.loads(behaviour.read_text()) if behaviour.exists() else {{}}
does = told.get(f"{{name.split('-')[1]}} {{step}}", "")
with open(folder.parents[1] / "made.txt", "a") as made:
    made.write(f"{{name.split('-')[1]}} {{step}}\n")
if does.startswith("wait for"):
    while does[9:].split(" and ")[0] not in (folder.parents[1] / "made.txt").read_text():
        time.sleep(0.1)
if does == "sleep":
    time.sleep(600)
if does.endswith("die"):
    os.kill(os.getpid(), 9)
word = {{"made": True, "said": [f"made {{step}}"]}}
if does.startswith("fail"):
    word = {{"failure": does, "has_no_room": "no space" in does, "warnings": ["looks dark"]}}
(folder / "jobs" / f"{{name}}.{{step}}.json").write_text(json.dumps(word))
sys.exit(1 if "failure" in word else 0)
"""


def stand_in_project(folder, monkeypatch, stems, settings):
    """Fill a folder with a project of small tomograms, and let the stand-in do its steps; the folder."""
    data = np.zeros((4, 5, 6), np.int8)
    data[2] = 1
    for place in ("tomograms", "membranes"):
        (folder / place).mkdir()
    for stem in stems:
        write_volume(folder / "tomograms" / f"{stem}.mrc", Volume(data.astype(np.float32), 2.0))
        write_volume(folder / "membranes" / f"{stem}__membranes.mrc", Volume(data, 2.0))
    (folder / "project.toml").write_text(settings)
    (folder / "model.safetensors").write_bytes(b"weights")
    stand_in = folder / "stand_in"
    stand_in.write_text(STAND_IN.format(python=sys.executable))
    stand_in.chmod(0o755)
    monkeypatch.setattr("tomosurf.steps._sees_membranes", lambda project: False)
    monkeypatch.setattr("tomosurf.steps.StepMaker.finder", None)
    monkeypatch.setattr("tomosurf.workflow.jobs.step_python", lambda: str(stand_in))
    return folder


def made_in(folder):
    """The steps that were begun since the last look."""
    path = folder / "made.txt"
    lines = path.read_text().splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    return sorted(lines)


def run_beside(folder, *lines):
    """The words of a process of its own that runs a project as jobs done by the stand-in, then these lines.

    ``batch`` is what came of it, and ``request`` how it is run, by default on two cores here.
    """
    code = (
        "import json, sys; import tomosurf.steps, tomosurf.workflow.jobs as jobs\n"
        "tomosurf.steps._sees_membranes = lambda project: False\n"
        "tomosurf.steps.StepMaker.finder = None\n"
        "jobs.step_python = lambda: sys.argv[2]\n"
        "from pathlib import Path; from tomosurf.project import read_project\n"
        "from tomosurf.workflow.run import WorkflowRequest, run_workflow\n"
        "request = WorkflowRequest(cores=2, slurm=sys.argv[3] == 'slurm')\n"
        "batch = run_workflow(read_project(Path(sys.argv[1])), request)\n"
    )
    return [sys.executable, "-c", code + "\n".join(lines), str(folder), str(folder / "stand_in")]
