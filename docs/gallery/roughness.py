"""Draws docs/pictures/roughness.png: a bent sheet, half of it rough; the bend is no roughness."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pyvista as pv

from surfora.geometry.surface import SurfaceMesh
from surfora.measures.roughness import mesh_roughness
from surfora.reporting.pictures import surface_figure

PICTURES = Path(__file__).parents[1] / "pictures"


def half_rough_sheet() -> SurfaceMesh:
    """A sheet bent with a radius of 90 nm; waves of 0.6 nm and about 11 nm long fade in along x."""
    flat = pv.Plane(i_size=150, j_size=90, i_resolution=88, j_resolution=53).triangulate()
    points = np.array(flat.points, dtype=np.float64)
    x, y = points[:, 0], points[:, 1]
    rough = 0.6 / (1.0 + np.exp(-x / 6.0)) * np.sin(x / 1.7) * np.cos(y / 2.4)
    points[:, 2] = np.sqrt(90.0**2 - x**2) + rough
    return SurfaceMesh(points, np.array(flat.regular_faces, dtype=np.int64))


def main(folder: Path) -> None:
    mesh = mesh_roughness(half_rough_sheet())
    figure = surface_figure(mesh, mesh.data["roughness_nm"], "roughness (nm)", "magma", (0.0, 0.35))
    figure.savefig(folder / "roughness.png", dpi=90)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--output", type=Path, default=PICTURES)
    main(parser.parse_args().output)
