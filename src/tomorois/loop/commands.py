"""Commands that do elsewhere what a window does here: to paste on a cluster, and to hand over to SurfORA."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from tomocore.files import require_writable_folder, write_text
from tomocore.files_of_tomograms import volume_stem
from tomocore.roiset import read_rois, write_rois_archive
from tomorois.loop.folder import LoopFolder
from tomorois.training.files import TrainRequest


def train_command(request: TrainRequest, settings: Path | None = None) -> str:
    """The command line that trains as a window would."""
    words: list[object] = ["tomorois", "train", "--tomograms", *request.files.tomograms]
    words += ["--labels", *request.files.labels, "-o", request.model]
    for option, files in (("--membranes", request.files.membranes), ("--penalty", request.files.penalties)):
        words += [option, *files] if files else []
    words += ["--init", request.init] if request.init else []
    words += ["--resume"] if request.resume else []
    words += ["--minutes", f"{request.minutes:g}"] if request.minutes else []
    words += ["--voxel-size", f"{request.files.voxel_size_nm:g}"] if request.files.voxel_size_nm else []
    words += ["-s", settings] if settings else []
    return shlex.join(str(word) for word in words)


def job_script(command: str, name: str, minutes: float, cores: int = 8) -> str:
    """A Slurm job that runs a command, with twice the minutes it was given."""
    limit = max(int(2 * minutes) + 10, 15)
    head = [f"--job-name={name}", f"--time={limit}", f"--cpus-per-task={cores}", "--mem=16G"]
    return "\n".join(["#!/bin/bash", *(f"#SBATCH {option}" for option in head), "set -e", command, ""])


def write_job(folder: LoopFolder, command: str, model: Path, minutes: float) -> Path:
    """Write the Slurm job of a training beside the models; its path."""
    require_writable_folder(folder.models)
    path = folder.models / f"{model.stem}.sh"
    write_text(path, job_script(command, model.stem, minutes))
    return path


def handover_rois(rois: Path, folder: Path) -> Path:
    """Write the ROIs of a file that are to be measured: the kept ones, or all but the rejected where none is.

    They lie in ``folder`` under the same name.
    """
    found = read_rois(rois)
    status = found.table["status"]
    chosen = (status == "kept") if (status == "kept").any() else (status != "rejected")
    require_writable_folder(folder)
    target = folder / rois.name
    write_rois_archive(target, found.at(chosen.to_numpy()))
    return target


def surfora_words(membranes: Path, rois: Path, folder: Path, options: Sequence[str] = ()) -> list[str]:
    """The words of `surfora run` within ROIs, as a process of this Python."""
    words = ["run", str(membranes), "--rois", str(rois), "-o", str(folder), *options]
    return [sys.executable, "-c", "from surfora.cli.app import main; main()", *words]


def surfaces_of(folder: LoopFolder, tomogram: Path) -> Path:
    """Where the surfaces of a tomogram lie."""
    return folder.surfaces / volume_stem(tomogram)
