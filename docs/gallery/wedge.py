"""Draws docs/pictures/wedge.png: an open vesicle, by what the tilt series saw of it."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from surfora.isosurface.boundary import isosurface
from surfora.measures.wedge import mesh_evidence
from surfora.reporting.pictures import evidence_figure
from tomocore.volumes.volume import Volume

PICTURES = Path(__file__).parents[1] / "pictures"
RADIUS_NM, THICKNESS_NM = 24.0, 4.0


def open_vesicle() -> Volume:
    """A spherical membrane without its lower cap, and with a hole in its side."""
    axis = np.arange(-30.0, 31.0)
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    shell = np.abs(np.sqrt(x**2 + y**2 + z**2) - RADIUS_NM) <= THICKNESS_NM / 2
    return Volume(shell & (z > -16), 1.0, (0.0, 0.0, 0.0))


def main(folder: Path) -> None:
    vesicle = open_vesicle()
    surface = isosurface(vesicle.data, vesicle.voxel_size_nm, vesicle.origin_nm)
    z, y, x = np.indices(vesicle.shape) - 30
    holed = vesicle.with_data(vesicle.data & ~((y < -18) & (np.hypot(x, z) < 7)))
    judged = mesh_evidence(surface, holed)
    evidence_figure(judged, judged.data["evidence"]).savefig(folder / "wedge.png", dpi=90)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--output", type=Path, default=PICTURES)
    main(parser.parse_args().output)
