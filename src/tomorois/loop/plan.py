"""What a project settles for a loop over its tomograms, asked of a process, as SurfORA is run in one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from pydantic import Field

from tomocore.contract import InputError
from tomocore.side_files import StoredRow
from tomorois.instances.settings import InstanceSettings
from tomorois.prediction.settings import PredictSettings
from tomorois.training.settings import TrainSettings

PROJECT_FILE = "project.toml"
ASK = """
import sys
from pathlib import Path
from tomocore.contract import FAILURES, one_line
from tomosurf.annotating import plan_of_project
from tomosurf.project import read_project
try:
    print(plan_of_project(read_project(Path(sys.argv[1]))).model_dump_json())
except FAILURES as error:
    sys.exit(one_line(error))
"""


class LoopPlan(StoredRow):
    """The ``tomograms`` of a loop, its ``folder``, and where else its files lie.

    ``rois`` is the folder of ROIs and of what is judged of them, ``membranes`` those of each tomogram, and
    ``report`` the page on all results, which may not be there yet. ``voxel_size_nm`` overrules all headers;
    without ``train`` its settings are those of the last time.
    """

    tomograms: list[Path]
    folder: Path
    rois: Path
    membranes: dict[Path, Path] = Field(default_factory=dict)
    report: Path | None = None
    voxel_size_nm: float | None = None
    train: TrainSettings | None = None
    predict: PredictSettings = PredictSettings()
    instances: InstanceSettings = InstanceSettings()


def project_at(path: Path) -> Path | None:
    """The project file that a path is or that lies in the folder it is; None where there is none."""
    inside = path / PROJECT_FILE
    return path if path.suffix == ".toml" else inside if inside.is_file() else None


def plan_of_project_file(path: Path) -> LoopPlan:
    """The loop over a project's tomograms. Raises InputError where it is none that can be opened."""
    answer = subprocess.run([sys.executable, "-c", ASK, str(path)], capture_output=True, text=True)
    if answer.returncode:
        said = answer.stderr.strip().splitlines()
        raise InputError(said[-1] if said else f"{path}: cannot be read as a project; try tomosurf status")
    plan: LoopPlan = LoopPlan.model_validate_json(answer.stdout.splitlines()[-1])
    return plan
