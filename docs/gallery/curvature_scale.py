"""Draws docs/pictures/curvature_scale.png: signed mean curvature of a vase-shaped membrane from voxels."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from surfora.measures.curvature import mesh_curvature
from surfora.medial.points import medial_points
from surfora.meshing.ballpivot import mesh_points
from surfora.meshing.smoothing import smooth_mesh
from surfora.orientation.orient import orient_normals
from surfora.reporting.pictures import CURVATURE_COLOURS, surface_figure
from tomocore.volumes.volume import Volume

PICTURES = Path(__file__).parents[1] / "pictures"
THICKNESS_NM = 4.0


def vase() -> Volume:
    """An open membrane around the y axis whose radius swings between 10 and 22 nm; voxels of 1 nm."""
    axis, along = np.arange(-27.0, 28.0), np.arange(-38.0, 39.0)
    z, y, x = np.meshgrid(axis, along, axis, indexing="ij")
    radius = 16.0 + 6.0 * np.sin(2 * np.pi * y / 60.0)
    slope = 6.0 * 2 * np.pi / 60.0 * np.cos(2 * np.pi * y / 60.0)
    away = np.abs(np.hypot(x, z) - radius) / np.hypot(1.0, slope)
    return Volume((away <= THICKNESS_NM / 2) & (np.abs(y) < 34), 1.0, (0.0, 0.0, 0.0))


def main(folder: Path) -> None:
    mask = vase()
    cloud = medial_points(mask.data, mask.voxel_size_nm, mask.origin_nm)
    assert cloud.normals is not None
    normals = orient_normals(cloud.points, cloud.normals).normals
    mesh = smooth_mesh(mesh_points(replace(cloud, normals=normals), support=mask))
    mean = mesh_curvature(mesh).data["mean_curvature_per_nm"]
    figure = surface_figure(mesh, mean, "mean curvature (1/nm)", CURVATURE_COLOURS, (-0.08, 0.08))
    figure.savefig(folder / "curvature_scale.png", dpi=90)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--output", type=Path, default=PICTURES)
    main(parser.parse_args().output)
