"""Draws docs/pictures/meshing.png: two membranes four voxels apart, meshed by Open3D and by us."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pyvista as pv
from numpy.typing import NDArray
from PIL import Image

from surfora.geometry.open3d_bridge import import_open3d
from surfora.geometry.sampling import poisson_disc
from surfora.geometry.surface import SurfaceMesh, boundary_edges, to_polydata
from surfora.meshing.ballpivot import ball_pivot
from surfora.meshing.loops import boundary_loops

PICTURES = Path(__file__).parents[1] / "pictures"
SPACING_NM = 1.5
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def apposed_bowls() -> tuple[Floats, Floats]:
    """Points and outward normals on two open spheres 4 nm apart, each with its rim."""
    random = np.random.default_rng(1)
    bowls = []
    for radius in (20.0, 24.0):
        way = random.normal(size=(40_000, 3))
        way[:, 2] = np.where(np.abs(way[:, 2]) < 3, way[:, 2], 0)
        way /= np.linalg.norm(way, axis=1, keepdims=True)
        turn = np.linspace(0, 2 * np.pi, round(2 * np.pi * 0.8 * radius / SPACING_NM), endpoint=False)
        rims = [np.column_stack([0.8 * np.cos(turn), 0.8 * np.sin(turn), 0 * turn + h]) for h in (-0.6, 0.6)]
        way = np.concatenate([*rims, way[np.abs(way[:, 2]) < 0.6]])
        first = np.arange(len(way)) < 2 * len(turn)
        kept = poisson_disc(radius * way, SPACING_NM, order=first)
        bowls.append((radius * way[kept], way[kept]))
    points, normals = (np.concatenate(parts) for parts in zip(*bowls, strict=True))
    return points + 0.07 * random.normal(size=(len(points), 1)) * normals, normals


def open3d_pivoted(points: Floats, normals: Floats) -> Ints:
    open3d = import_open3d()
    cloud = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(points))
    cloud.normals = open3d.utility.Vector3dVector(normals)
    radii = open3d.utility.DoubleVector([1.5 * SPACING_NM])
    mesh = open3d.geometry.TriangleMesh.create_from_point_cloud_ball_pivoting(cloud, radii)
    return np.asarray(mesh.triangles).astype(np.int64)


def view(points: Floats, faces: Ints) -> Any:
    """The mesh from above its rim, boundary edges red."""
    plotter = pv.Plotter(off_screen=True, window_size=[640, 480])
    plotter.set_background("white")
    plotter.add_mesh(
        to_polydata(SurfaceMesh(points, faces)), color="#a9c7cb", show_edges=True, line_width=0.5
    )
    edges = boundary_edges(faces)
    lines = np.column_stack([np.full(len(edges), 2), edges]).ravel()
    plotter.add_mesh(pv.PolyData(points, lines=lines), color="#c2260c", line_width=5)
    plotter.camera_position = [(0.0, -75.0, 55.0), (0.0, 0.0, 0.0), (0, 0, 1)]
    plotter.camera.zoom(1.1)
    plotter.enable_anti_aliasing("ssaa")
    image = plotter.screenshot(return_img=True)
    plotter.close()
    return image


def main(folder: Path) -> None:
    points, normals = apposed_bowls()
    made = {
        "Open3D, radius 1.5 spacings": open3d_pivoted(points, normals),
        "ours": ball_pivot(points, normals, spacing_nm=SPACING_NM),
    }
    figure, axes = plt.subplots(1, 2, figsize=(8.6, 3.5), layout="constrained")
    for panel, (name, faces) in zip(axes, made.items(), strict=True):
        panel.imshow(view(points, faces))
        panel.set_title(f"{name}: {len(boundary_loops(faces))} boundary loops (4 are true)", fontsize=8)
        panel.set_axis_off()
    figure.savefig(folder / "meshing.png", dpi=90)
    with Image.open(folder / "meshing.png") as picture:
        small = picture.convert("RGB").quantize(48)
    small.save(folder / "meshing.png", optimize=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--output", type=Path, default=PICTURES)
    main(parser.parse_args().output)
