"""The memory that is asked for a training, against what one takes."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tomocore.volumes.formats import write_volume
from tomocore.volumes.volume import Volume
from tomosurf.project import read_project
from tomosurf.workflow.memory import CUDA_BYTES, training_memory_bytes

# Not by getrusage, which counts what the process of the tests had as it was forked.
TRAINED = (
    "import re, sys; from pathlib import Path; from tomosurf.project import read_project\n"
    "from tomosurf.train_round import train_round; from tomosurf.training import due_round\n"
    "project = read_project(Path(sys.argv[1])); train_round(project, due_round(project))\n"
    "print(re.search(r'VmHWM:\\s+(\\d+) kB', Path('/proc/self/status').read_text())[1])"
)


def project_of(folder: Path, shape: tuple[int, int, int]):
    """A project of two tomograms with a few ROIs, membranes beside them, and trainings of two steps."""
    for place in ("tomograms", "membranes", "painted"):
        (folder / place).mkdir(parents=True)
    for seed in (1, 2):
        roi, membranes = np.zeros(shape, np.int16), np.zeros(shape, np.int8)
        roi[4:20, 10:30, 10:30], membranes[::40] = 1, 1
        grey = np.random.default_rng(seed).normal(size=shape).astype(np.float32) - 3 * roi
        write_volume(folder / "tomograms" / f"t{seed}.mrc", Volume(grey, 1.0))
        write_volume(folder / "membranes" / f"t{seed}__membranes.mrc", Volume(membranes, 1.0))
        write_volume(folder / "painted" / f"t{seed}__labels.mrc", Volume(roi, 1.0))
    train = "[train]\nsteps = 2\n[train.validation]\nchecks = 1\n"
    (folder / "project.toml").write_text(f'annotations = "painted"\n{train}')
    return read_project(folder)


def taken_bytes(project) -> int:
    """The most memory that a training takes in a process of its own, as a job is one."""
    words = [sys.executable, "-c", TRAINED, project.folder]
    told = subprocess.run(words, capture_output=True, text=True, check=True, timeout=300)
    return 1024 * int(told.stdout.split()[-1])


@pytest.mark.slow
@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="the most memory is told in kB on Linux alone"
)
def test_what_is_asked_for_a_training_is_what_it_takes_and_at_most_six_tenths_more(tmp_path):
    taken_bytes(project_of(tmp_path / "first", (30, 60, 60)))  # which compiles kernels, where none are kept
    for name, shape in (("small", (60, 120, 120)), ("large", (130, 260, 260))):
        project = project_of(tmp_path / name, shape)
        taken = taken_bytes(project)
        assert taken <= training_memory_bytes(project) <= 1.6 * taken, (name, taken)


def test_patches_blocks_and_gpus_are_asked_for(tmp_path):
    project = project_of(tmp_path, (30, 60, 60))
    usual = training_memory_bytes(project)
    (tmp_path / "project.toml").write_text(
        'annotations = "painted"\n[train]\nbatch = 4\npatch_voxels = 64\n[cluster]\ntraining_gpus = 1\n'
    )
    channels = 20 + 3
    more = 2 * 4 * channels * (4 * 64**3 - 32**3)
    assert training_memory_bytes(read_project(tmp_path)) == usual + more + CUDA_BYTES
