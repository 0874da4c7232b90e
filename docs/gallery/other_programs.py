"""Draws docs/pictures/other_programs.png: files of `surfora export` read by VTK, and a model."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import mrcfile
import numpy as np
import pyvista as pv

from surfora.export.coloured_meshes import Paint
from surfora.export.mesh_files import ExportRequest, export_files
from surfora.geometry.facts import SurfaceFacts
from surfora.geometry.files import write_surface
from surfora.geometry.surface import SurfaceMesh
from surfora.measures.curvature import mesh_curvature

PICTURES = Path(__file__).parents[1] / "pictures"
EDGE, SHAPE = 1.0, (70, 100, 120)  # nm, voxels
SIZE = tuple(EDGE * count for count in SHAPE[::-1])


def peanut() -> SurfaceMesh:
    """A vesicle with a waist, 70 nm long, about the middle of the tomogram."""
    ball = pv.Icosphere(radius=1.0, nsub=4)
    x, y, z = np.asarray(ball.points, float).T
    radius = 11 + 24 * x**2
    points = np.column_stack([35 * x, radius * y, radius * z])
    return SurfaceMesh(points + np.array(SIZE) / 2, np.asarray(ball.regular_faces, np.int64))


def tomogram(mesh: SurfaceMesh) -> np.ndarray:
    """A dark membrane of 4 nm in noise."""
    z, y, x = np.indices(SHAPE) * EDGE
    grid = pv.PolyData(np.column_stack([x.ravel(), y.ravel(), z.ravel()]))
    away = grid.compute_implicit_distance(pv.PolyData.from_regular_faces(mesh.vertices, mesh.faces))
    depth = np.abs(away["implicit_distance"].reshape(SHAPE))
    noise = np.random.default_rng(1).normal(0, 0.5, SHAPE)
    return (noise - 2 * np.exp(-((depth / 2) ** 2))).astype(np.float32)


def shown(poly: pv.PolyData, scalars: str) -> np.ndarray:
    """A picture of a surface with the colours of its vertices."""
    view = pv.Plotter(off_screen=True, window_size=(520, 420))
    view.set_background("white")
    view.add_mesh(poly, scalars=scalars, rgb=True)
    view.view_vector((0.4, -0.6, 0.7), (0, 0, 1))
    picture = view.screenshot(return_img=True)
    view.close()
    return picture


def main(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        here = Path(name)
        mesh = mesh_curvature(peanut())
        facts = SurfaceFacts("ts_1_ves", "medial", "ves", source="ts_1.mrc", voxel_size_nm=EDGE)
        write_surface(here / "ts_1_ves.medial.vtp", mesh, facts)
        with mrcfile.new(here / "ts_1.mrc") as file:
            file.set_data(tomogram(mesh))
            file.voxel_size = EDGE * 10
        paint = Paint("mean_curvature_per_nm", "RdBu_r", (-0.1, 0.1))
        source = (here / "ts_1_ves.medial.vtp",)
        for program in ("blender", "imod"):
            export_files(ExportRequest(source, here, (), program, (here / "ts_1.mrc",), paint))
        export_files(ExportRequest(source, here, ("obj", "ply"), None, (), paint))
        figure, panels = plt.subplots(1, 3, figsize=(12, 3.8), layout="constrained")
        scene = pv.read(here / "ts_1.glb").combine().extract_surface(algorithm=None)
        scene["COLOR_0"] = scene["COLOR_0"] ** (1 / 2.2)  # light as a screen shows it
        panels[0].imshow(shown(scene, "COLOR_0"))
        panels[0].set_title("--for blender (.glb)", fontsize=10)
        coloured = pv.read(here / "ts_1_ves.medial.ply")
        panels[1].imshow(shown(coloured, "RGB"))
        panels[1].set_title("--format ply", fontsize=10)
        draw_on_slice(panels[2], here / "ts_1.mrc", here / "ts_1.mod")
        panels[2].set_title("--for imod (.mod) on the tomogram", fontsize=10)
        for panel in panels:
            panel.set_axis_off()
        figure.savefig(folder / "other_programs.png", dpi=90)


def draw_on_slice(panel: plt.Axes, volume: Path, model: Path) -> None:
    """A slice of the tomogram, and where the model's mesh cuts it: by voxels alone, as 3dmod has it."""
    from imodmodel.models import ImodModel

    mesh = ImodModel.from_file(model).objects[0].meshes[0]
    middle = SHAPE[0] // 2
    with mrcfile.open(volume) as file:
        panel.imshow(file.data[middle], cmap="gray", origin="lower", extent=(0, SHAPE[2], 0, SHAPE[1]))
    cut = pv.PolyData.from_regular_faces(mesh.vertices, mesh.indices).slice("z", origin=(0, 0, middle))
    for one in cut.lines.reshape(-1, 3)[:, 1:]:
        panel.plot(*cut.points[one, :2].T, color="#e69f00", linewidth=1.2)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--output", type=Path, default=PICTURES)
    main(parser.parse_args().output)
