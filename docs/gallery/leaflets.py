"""Draws docs/pictures/leaflets.png: an open vesicle's mask taken to its middle and its two leaflets."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pyvista as pv

from surfora.geometry.surface import SurfaceMesh, to_polydata
from surfora.isosurface.boundary import isosurface
from surfora.leaflets.proxy import poisson_proxy
from surfora.leaflets.split import Leaflets, split_leaflets
from surfora.medial.points import medial_points
from surfora.meshing.ballpivot import mesh_points
from surfora.meshing.smoothing import smooth_mesh
from surfora.orientation.orient import orient_normals
from tomocore.volumes.volume import Volume

PICTURES = Path(__file__).parents[1] / "pictures"
COLOURS = {"inner": "#d97a2b", "middle": "#b8c0c8", "outer": "#2b7fb8"}


def open_vesicle() -> Volume:
    """A flattened spherical membrane, open below; it ends at right angles, along a cone."""
    z, y, x = np.indices((44, 56, 56)) - np.reshape((18.3, 27.6, 27.9), (3, 1, 1, 1))
    radius = np.sqrt(x**2 + y**2 + (1.15 * z) ** 2)
    return Volume((np.abs(radius - 22.0) <= 2.5) & (z > -0.55 * radius), 1.0, (0.0, 0.0, 0.0))


def reconstructed(mask: Volume) -> tuple[SurfaceMesh, Leaflets]:
    """The medial mesh, and the leaflets."""
    points = medial_points(mask.data, mask.voxel_size_nm, mask.origin_nm)
    assert points.normals is not None
    oriented = orient_normals(points.points, points.normals).normals
    middle = smooth_mesh(mesh_points(replace(points, normals=oriented), support=mask))
    boundary = isosurface(mask.data, mask.voxel_size_nm, mask.origin_nm, medial=middle)
    return middle, split_leaflets(boundary, middle, poisson_proxy(middle))


def view(meshes: dict[str, SurfaceMesh], halved: bool) -> Any:
    """The meshes from the side, the front half cut away or not."""
    plotter = pv.Plotter(off_screen=True, window_size=[640, 480])
    plotter.set_background("white")
    for name, mesh in meshes.items():
        poly = to_polydata(SurfaceMesh(mesh.vertices, mesh.faces))
        shown = poly.clip(normal=(0, -1, 0), origin=(27.6, 27.6, 18.3)) if halved else poly
        plotter.add_mesh(shown, color=COLOURS[name], ambient=0.35, smooth_shading=not halved)
    plotter.camera_position = [(27.9, -95.0, -28.0), (27.9, 27.6, 22.0), (0, 0, 1)]
    plotter.camera.zoom(1.15)
    plotter.enable_anti_aliasing("ssaa")
    image = plotter.screenshot(return_img=True)
    plotter.close()
    return image


def main(folder: Path) -> None:
    middle, leaflets = reconstructed(open_vesicle())
    meshes = {"outer": leaflets.outer, "middle": middle, "inner": leaflets.inner}
    figure, axes = plt.subplots(1, 2, figsize=(8.6, 3.5), layout="constrained")
    for panel, halved, title in zip(axes, (False, True), ("whole", "front half cut away"), strict=True):
        panel.imshow(view(meshes, halved))
        panel.set_title(title, fontsize=8, color="#5b6876")
        panel.set_axis_off()
    for name, colour in COLOURS.items():
        axes[1].plot([], [], color=colour, linewidth=5, label=name)
    axes[1].legend(loc="upper right", frameon=False, fontsize=8)
    figure.savefig(folder / "leaflets.png", dpi=90)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--output", type=Path, default=PICTURES)
    main(parser.parse_args().output)
