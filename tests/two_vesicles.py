"""A project small enough for a test: two vesicles beside each other in two tomograms, and a model."""

import shutil

import numpy as np
from command_line import run_command
from made_once import made_once

from tomocore.roiset import rois_from_labels, write_rois_archive
from tomocore.volumes.formats import write_volume
from tomocore.volumes.volume import Volume

EDGE_NM = 2.0
SHAPE = (40, 56, 56)
CENTRES_NM = ((40.0, 56.0, 30.0), (40.0, 56.0, 82.0))
RADIUS_NM = 20.0
GAP_NM = CENTRES_NM[1][2] - CENTRES_NM[0][2] - 2 * RADIUS_NM


def two_vesicles(seed):
    """Two spheres 12 nm apart, dark in noise: tomogram, membranes 1 and 2, and the contact between them."""
    z, y, x = np.indices(SHAPE) * EDGE_NM
    membranes = np.zeros(SHAPE, np.int16)
    depth = []
    for label, (cz, cy, cx) in enumerate(CENTRES_NM, start=1):
        distance = np.sqrt((z - cz) ** 2 + (y - cy) ** 2 + (x - cx) ** 2) - RADIUS_NM
        membranes[np.abs(distance) <= 2.5] = label
        depth.append(distance)
    contact = ((depth[0] > -2.5) & (depth[1] > -2.5) & (depth[0] + depth[1] < 22)).astype(np.int16)
    noise = np.random.default_rng(seed).normal(size=SHAPE)
    tomogram = (noise - 4 * (membranes > 0) - 3 * contact).astype(np.float32)
    return tuple(Volume(data, EDGE_NM) for data in (tomogram, membranes, contact))


def write_project(folder):
    """A folder with two tomograms, their membranes and truth, and a trained model; returns the folder.

    It is a copy of one that was made for all tests.
    """
    shutil.copytree(made_once("two_vesicles", _make_project), folder, dirs_exist_ok=True)
    return folder


def _make_project(folder):
    for name in ("tomograms", "membranes", "labels"):
        (folder / name).mkdir()
    for seed in (1, 2):
        tomogram, membranes, contact = two_vesicles(seed)
        write_volume(folder / "tomograms" / f"t{seed}.mrc", tomogram)
        write_volume(folder / "membranes" / f"t{seed}__membranes.mrc", membranes)
        write_volume(folder / "labels" / f"t{seed}__labels.mrc", contact)
        write_rois_archive(folder / "labels" / f"t{seed}__truth.npz", rois_from_labels(contact))
    (folder / "s.toml").write_text(
        "[train]\nbin_factor = 1\npatch_voxels = 24\nsteps = 120\n"
        "[train.network]\nlayers = 6\ndilations = [1, 2]\n"
    )
    words = ("--tomograms", "tomograms", "--labels", "labels", "-o", "model.safetensors", "-s", "s.toml")
    assert run_command("tomorois", "train", *words, cwd=folder).returncode == 0
