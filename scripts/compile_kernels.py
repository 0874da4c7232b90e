"""Compiles the kernels once, by a small run of everything, so that no first run has to wait for it."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from tomocore.volumes.formats import write_volume
from tomocore.volumes.volume import Volume

TRAINING = """
[train]
bin_factor = 1
patch_voxels = 20
steps = 10
[train.network]
layers = 3
dilations = [1, 2]
"""


def main() -> None:
    rng = np.random.default_rng(0)
    labels = two_vesicles()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_volume(folder / "labels.mrc", labels)
        run("surfora run labels.mrc --distances 1:2 --surface both -o measured", folder)
        for stem in ("a", "b"):
            noise = rng.normal(size=labels.shape).astype(np.float32)
            write_volume(folder / f"{stem}.mrc", labels.with_data(noise - 3 * (labels.data == 1)))
            write_volume(
                folder / f"{stem}__labels.mrc", labels.with_data((labels.data == 1).astype(np.int16))
            )
        (folder / "s.toml").write_text(TRAINING, encoding="utf-8")
        run("tomorois train --tomograms a.mrc b.mrc --labels . -o m.safetensors -s s.toml", folder)
        run("tomorois predict m.safetensors a.mrc -o confidence", folder)
        run("tomorois instances confidence --membranes labels.mrc --split contacts -o rois", folder)


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
