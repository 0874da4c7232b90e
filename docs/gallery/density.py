"""Draws docs/pictures/density.png: a vesicle whose mask is off, moved to the middle of its density."""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pyvista as pv

from surfora.geometry.surface import SurfaceMesh, vertex_normals
from surfora.measures.density import mesh_density
from surfora.measures.density.profiles import sampled_profiles
from tomocore.volumes.volume import Volume
from tomorois.phantoms.imaging import ImagingSettings, drawn_optics, take_tomogram
from tomorois.phantoms.shapes import Grid
from tomorois.phantoms.specimen import bilayer_density

PICTURES = Path(__file__).parents[1] / "pictures"
RADIUS_NM, VOXEL_NM, SPACING_NM, COUNT = 22.0, 1.0, 3.6, 84


def imaged_vesicle() -> Volume:
    """The tomogram of a vesicle in the middle of a cube, tilted up to 60°."""
    axis = (np.arange(COUNT) - COUNT // 2) * VOXEL_NM
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    distance = (np.sqrt(x**2 + y**2 + z**2) - RADIUS_NM).astype(np.float32)
    settings, random = ImagingSettings(), np.random.default_rng(3)
    grid = Grid((COUNT,) * 3, VOXEL_NM)
    optics = drawn_optics(settings, random)
    image = take_tomogram(bilayer_density(distance, SPACING_NM, 0.7), None, grid, optics, settings, random)
    start = -COUNT // 2 * VOXEL_NM
    return Volume(image, VOXEL_NM, (start, start, start))


def wrong_surface() -> SurfaceMesh:
    """The vesicle's middle as a mask would give it that is too thick outside, by 1.5 nm on one half."""
    sphere = pv.Icosphere(radius=RADIUS_NM, nsub=4)
    points, faces = np.array(sphere.points, np.float64), np.array(sphere.regular_faces, np.int64)
    off = 0.5 + 0.5 * np.tanh(points[:, 0] / 6.0)
    points *= (1 + off / RADIUS_NM)[:, None]
    return SurfaceMesh(points, faces, vertex_normals(points, faces))


def main(folder: Path) -> None:
    tomogram, mesh = imaged_vesicle(), wrong_surface()
    moved = mesh_density(mesh, tomogram, refine=True).mesh
    told = moved.data["density_evidence"] == 0
    figure, (slice_axes, profile_axes, error_axes) = plt.subplots(1, 3, figsize=(11.5, 3.6))
    half = COUNT // 2 * VOXEL_NM
    slice_axes.imshow(
        tomogram.data[:, COUNT // 2],
        cmap="gray",
        extent=(-half, half, half, -half),
        vmin=-4,
        vmax=3,
    )
    for one, colour, label in ((mesh, "tab:orange", "of the mask"), (moved, "tab:blue", "refined")):
        near = np.abs(one.vertices[:, 1]) < 0.7
        slice_axes.plot(*one.vertices[near][:, [0, 2]].T, ".", color=colour, markersize=3, label=label)
    slice_axes.set(xlabel="x (nm)", ylabel="z (nm)", xlim=(-30, 30), ylim=(30, -30))
    slice_axes.legend(loc="center", fontsize=8)
    offsets = np.linspace(-8, 8, 65)
    for one, colour in ((mesh, "tab:orange"), (moved, "tab:blue")):
        profiles = sampled_profiles(tomogram, one.vertices[told], one.normals[told], offsets)
        profile_axes.plot(offsets, profiles.mean(axis=0), color=colour)
    thickness = np.nanmedian(moved.data["thickness_peak_to_peak_nm"])
    for side in (-0.5, 0.5):
        profile_axes.axvline(side * thickness, color="0.6", linestyle=":")
    profile_axes.set(
        xlabel="along the normal (nm)", ylabel="grey value, mean", title=f"{thickness:.1f} nm apart"
    )
    for one, colour in ((mesh, "tab:orange"), (moved, "tab:blue")):
        error = np.linalg.norm(one.vertices[told], axis=1) - RADIUS_NM
        error_axes.hist(error, bins=np.linspace(-1, 1.5, 51), color=colour, alpha=0.7)
    error_axes.set(xlabel="surface less true middle (nm)", ylabel="points")
    figure.tight_layout()
    figure.savefig(folder / "density.png", dpi=90)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--output", type=Path, default=PICTURES)
    main(parser.parse_args().output)
