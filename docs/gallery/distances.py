"""Draws docs/pictures/distances.png: how far a wavy membrane lies from a vesicle beside it."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pyvista as pv

from surfora.geometry.nearest import surface_distance
from surfora.geometry.surface import SurfaceMesh, vertex_normals
from surfora.measures.settings import DistanceSettings
from surfora.reporting.pictures import DISTANCE_COLOURS, surface_figure

PICTURES = Path(__file__).parents[1] / "pictures"


def mesh_of(poly: pv.PolyData, height_nm: np.ndarray | float = 0.0) -> SurfaceMesh:
    """A mesh from PyVista's, raised along z."""
    vertices = np.array(poly.points, dtype=np.float64)
    vertices[:, 2] += height_nm
    faces = np.array(poly.triangulate().regular_faces, dtype=np.int64)
    return SurfaceMesh(vertices, faces, vertex_normals(vertices, faces))


def main(folder: Path) -> None:
    flat = pv.Plane(i_size=120, j_size=90, i_resolution=80, j_resolution=60).triangulate()
    x, y = np.asarray(flat.points)[:, 0], np.asarray(flat.points)[:, 1]
    sheet = mesh_of(flat, 5.0 * np.sin(x / 12.0) * np.cos(y / 14.0))
    vesicle = mesh_of(pv.Icosphere(radius=26.0, nsub=5), 40.0)
    limit = DistanceSettings().contact_distance_nm
    distance = surface_distance(sheet, vesicle).distance_nm
    figure = surface_figure(
        sheet, np.where(distance <= limit, distance, np.nan), "distance (nm)", DISTANCE_COLOURS, (8.0, limit)
    )
    figure.savefig(folder / "distances.png", dpi=90)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--output", type=Path, default=PICTURES)
    main(parser.parse_args().output)
