"""Draws docs/pictures/area.png: an open vesicle with a hole, coloured by the way to its borders."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pyvista as pv

from surfora.geometry.surface import SurfaceMesh, face_areas_nm2
from surfora.measures.curvature import mesh_curvature
from surfora.measures.settings import CurvatureSettings
from surfora.meshing.loops import boundary_loops
from surfora.reporting.pictures import surface_figure

PICTURES = Path(__file__).parents[1] / "pictures"


def open_vesicle() -> SurfaceMesh:
    """A vesicle of 40 nm without its caps, as the missing wedge leaves it, with a hole of 8 nm."""
    ball = pv.Icosphere(radius=40.0, nsub=5)
    points, faces = np.asarray(ball.points, float), np.asarray(ball.regular_faces, np.int64)
    centres = points[faces].mean(axis=1)
    hole = np.linalg.norm(centres - np.array([12.0, -37.5, 6.0]), axis=1) < 8
    return SurfaceMesh(points, faces).with_faces(faces[(np.abs(centres[:, 2]) < 28) & ~hole])


def main(folder: Path) -> None:
    mesh = mesh_curvature(open_vesicle(), CurvatureSettings(radii_nm=(8.0,)))
    loops = boundary_loops(mesh.faces)
    area = face_areas_nm2(mesh.vertices, mesh.faces).sum()
    title = f"way to the border (nm); {area:,.0f} nm², {len(loops)} borders"
    figure = surface_figure(mesh, mesh.data["boundary_distance_nm"], title, "viridis", (0.0, 28.0))
    figure.savefig(folder / "area.png", dpi=90)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--output", type=Path, default=PICTURES)
    main(parser.parse_args().output)
