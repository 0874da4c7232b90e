"""Compiles the kernels once, by a small run of everything, so that no first run has to wait for it."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from surfora.editor.view import View, in_front, in_loop, projected, rectangle
from surfora.geometry.files import write_surface
from surfora.geometry.surface import PointCloud
from tomocore.volumes.formats import write_volume
from tomocore.volumes.volume import Volume
from tomorois.loop.threshold_preview import threshold_preview

SETTINGS = """
[phantom]
shape_zyx = [40, 72, 64]
voxel_size_nm = 3.0
[train]
bin_factor = 1
patch_voxels = 20
steps = 10
[train.network]
layers = 3
dilations = [1, 2]
"""

# Side by side, each on one core: they have few kernels in common, and those at other times.
CHAINS = (
    ("surfora run labels.mrc --distances 1:2 --surface both --tomogram a.mrc --jobs 1 -o measured",),
    (
        "tomorois train --tomograms a.mrc b.mrc --labels . -o m.safetensors -s s.toml",
        "tomorois predict m.safetensors a.mrc -o confidence",
        "tomorois instances confidence --membranes labels.mrc --split contacts -o rois",
        "tomorois phantom --kind invaginations -o phantom -s s.toml",
        "surfora orient sphere.vtp -o oriented.vtp",
        "surfora orient normals.vtp -o turned.vtp -s dipoles.toml",
    ),
)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_inputs(folder)
        compile_those_of_windows()
        with ThreadPoolExecutor(len(CHAINS)) as pool:
            list(pool.map(lambda chain: [run(command, folder) for command in chain], CHAINS))


def compile_those_of_windows() -> None:
    """The kernels of a selection and of a threshold that is dragged, which no command runs."""
    threshold_preview(np.random.default_rng(0).random((8, 8, 8), np.float32))
    view = View(np.eye(4), (8, 8), np.zeros(3), np.array([0.0, 0.0, 1.0]))
    points = np.array([[0.0, 0.0, 0.5], [0.1, 0.0, 0.7]])
    seen = projected(points, view)
    in_loop(seen.pixels, rectangle((0, 0), (8, 8)))
    in_front(seen, np.ones(2, dtype=bool), 1.0, points, points)


def write_inputs(folder: Path) -> None:
    """Labels of two membranes, two tomograms with labels of the first, a cloud, settings of small runs."""
    rng = np.random.default_rng(0)
    labels = two_vesicles()
    write_volume(folder / "labels.mrc", labels)
    (folder / "s.toml").write_text(SETTINGS, encoding="utf-8")
    (folder / "dipoles.toml").write_text('[orient]\nmethod = "dipole"\n', encoding="utf-8")
    axes = rng.normal(size=(1500, 3))
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    write_surface(folder / "sphere.vtp", PointCloud(20 * axes))
    write_surface(folder / "normals.vtp", PointCloud(20 * axes, axes))
    for stem in ("a", "b"):
        noise = rng.normal(size=labels.shape).astype(np.float32)
        write_volume(folder / f"{stem}.mrc", labels.with_data(noise - 3 * (labels.data > 0)))
        write_volume(folder / f"{stem}__labels.mrc", labels.with_data((labels.data == 1).astype(np.int16)))


def run(command: str, folder: Path) -> None:
    words = command.split()
    tool = Path(sys.executable).parent / words[0]
    subprocess.run(
        [tool, *words[1:]], cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def two_vesicles() -> Volume:
    """Labels 1 and 2: open shells of one centre."""
    z, y, x = np.indices((44, 44, 44)) - 22.0
    radius = np.sqrt(x**2 + y**2 + z**2)
    labels = np.zeros(radius.shape, np.int16)
    labels[(np.abs(radius - 8) <= 2) & (z < 5)] = 1
    labels[np.abs(radius - 17) <= 2] = 2
    return Volume(labels, 1.25, (0.0, 0.0, 0.0))


if __name__ == "__main__":
    main()
