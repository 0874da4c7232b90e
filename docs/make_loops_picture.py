"""Draws te1_loops.png, borders in black: python docs/make_loops_picture.py NAME=MESH.vtp ..."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyvista as pv
from matplotlib.figure import Figure

from surfora.geometry.files import read_mesh
from surfora.geometry.pieces import component_count
from surfora.geometry.surface import SurfaceMesh, boundary_edges, to_polydata
from surfora.meshing.loops import boundary_loops

PICTURE = Path(__file__).parent / "pictures" / "te1_loops.png"
COLOURS = ("#2b7fb8", "#d97a2b", "#6aa84f")
VIEW, UP = (0.45, -1.0, 0.75), (0.0, 0.6, 0.8)


def main(named: list[str]) -> None:
    figure = Figure(figsize=(9.6, 4.0), layout="constrained")
    panels = figure.subplots(1, len(named), squeeze=False)[0]
    for panel, item, colour in zip(panels, named, COLOURS, strict=False):
        name, _, path = item.partition("=")
        mesh = read_mesh(Path(path))
        pieces = component_count(mesh.faces, len(mesh.vertices))
        panel.imshow(with_borders(mesh, colour))
        panel.set_title(
            f"{name}: {pieces} pieces, {len(boundary_loops(mesh.faces))} boundary loops", fontsize=9
        )
        panel.set_axis_off()
    figure.savefig(PICTURE, dpi=90)


def with_borders(mesh: SurfaceMesh, colour: str) -> Any:
    """A picture of a mesh from one side, its border edges drawn over it."""
    edges = boundary_edges(mesh.faces)
    lines = np.column_stack([np.full(len(edges), 2), edges]).ravel()
    plotter: Any = pv.Plotter(off_screen=True, window_size=[620, 620])
    plotter.set_background("white")
    plotter.add_mesh(to_polydata(SurfaceMesh(mesh.vertices, mesh.faces)), color=colour, ambient=0.35)
    plotter.add_mesh(pv.PolyData(mesh.vertices, lines=lines), color="black", line_width=3)
    plotter.view_vector(VIEW, viewup=UP)
    plotter.enable_parallel_projection()
    plotter.reset_camera()
    plotter.camera.zoom(1.3)
    plotter.enable_anti_aliasing("ssaa")
    picture = plotter.screenshot(return_img=True)
    plotter.close()
    return picture


if __name__ == "__main__":
    main(sys.argv[1:])
