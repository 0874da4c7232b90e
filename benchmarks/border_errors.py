"""What the errors of a real network's borders are like: what intervals suppose of masks, and of maps.

    make demo
    python benchmarks/border_errors.py demo_output

In tomograms never seen, the demo's network drew membranes. Along the normals of the true ones, this finds
where its map passes its threshold on either face, and tells how far that is from where it lies on average,
how alike it is along the surface and on both faces, and what slope of the map it goes with.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates
from scipy.spatial import cKDTree

from surfora.geometry.files import read_mesh
from surfora.geometry.surface import SurfaceMesh, vertex_normals
from surfora.masks.border_doubt import slopes_per_voxel
from tomocore.volumes.formats import read_volume
from tomocore.volumes.volume import Volume

REACH_NM, STEP_NM = 8.0, 0.25
FAR_VOXELS, MOST_PAIRS = 10, 200_000
Floats = NDArray[np.float64]


def faces(mesh: SurfaceMesh, drawn: Volume, threshold: float) -> tuple[Floats, Floats]:
    """Where (n, 2) in nm either face lies, outward from a true mid-surface, and the map's slope there.

    NaN where the map has no face within reach.
    """
    normals = vertex_normals(mesh.vertices, mesh.faces)
    steps = np.arange(-REACH_NM, REACH_NM + STEP_NM / 2, STEP_NM)
    places = drawn.index(mesh.vertices[:, None] + steps[:, None] * normals[:, None])
    profiles = map_coordinates(drawn.data, np.moveaxis(places, -1, 0), order=1, mode="nearest")
    every = np.arange(len(profiles))
    found, slopes = np.full((len(profiles), 2), np.nan), np.full((len(profiles), 2), np.nan)
    middle = np.where(np.abs(steps) <= 2.5, profiles, -1.0).argmax(axis=1)
    for side, sign in enumerate((1, -1)):
        beyond = (sign * (np.arange(len(steps)) - middle[:, None]) > 0) & (profiles <= threshold)
        first = np.where(beyond.any(axis=1), (beyond if sign > 0 else beyond[:, ::-1]).argmax(axis=1), -1)
        first = first if sign > 0 else len(steps) - 1 - first
        known = beyond.any(axis=1) & (profiles[every, middle] > threshold)
        k, at = every[known], first[known]
        inside, outside = profiles[k, at - sign], profiles[k, at]
        found[k, side] = sign * steps[at - sign] + STEP_NM * (inside - threshold) / (inside - outside)
        slopes[k, side] = slopes_per_voxel(drawn.data, np.rint(places[k, at]).astype(np.int64))
    return found, slopes


def surfaces(folder: Path) -> Iterator[tuple[SurfaceMesh, Volume, float]]:
    """Each true membrane that the demo measured, the map drawn of its tomogram, and the map's threshold."""
    for path in sorted((folder / "results" / "drawn").glob("*__membranes.mrc")):
        drawn = read_volume(path)
        threshold = json.loads(path.with_suffix(".json").read_text())["threshold"]
        measured = folder / "results" / "surfaces" / path.name.removesuffix("__membranes.mrc")
        for mesh in sorted(measured.glob("*.medial.vtp")):
            yield read_mesh(mesh), drawn, threshold


def main(folder: Path) -> None:
    errors, slopes, alike, means, voxel_nm = [], [], [], [], 1.0
    for mesh, drawn, threshold in surfaces(folder):
        voxel_nm = drawn.voxel_size_nm
        place, slope = faces(mesh, drawn, threshold)
        known = np.isfinite(place).all(axis=1)
        error = (place[known] - place[known].mean(axis=0)) / voxel_nm
        means.append(place[known].mean() / voxel_nm)
        errors.append(error)
        slopes.append(slope[known])
        alike.append(products(mesh.vertices[known] / voxel_nm, error))
    if not errors:
        sys.exit(f"{folder}: holds no demo; run `make demo` first")
    error, slope = np.concatenate(errors), np.concatenate(slopes)
    variance = float((error**2).mean())
    print(f"{len(error)} places on {len(errors)} membranes, voxels of {voxel_nm:g} nm")
    print(f"a face lies off by {np.sqrt(variance):.2f} voxels (SD); whole membranes by {np.std(means):.2f}")
    print(f"correlation of both faces, outward: {np.corrcoef(error.T)[0, 1]:.2f}")
    print("along a face, from 1 voxel on: ", end="")
    sums = np.sum(alike, axis=0)
    print(", ".join(f"{total / count / variance:.2f}" for total, count in sums))
    print(f"error of the map at borders (SD): {np.sqrt(((error * slope) ** 2).mean()):.3f}\n")
    print("| slope (per voxel) | told by it (voxels) | true (voxels) |\n|---|---|---|")
    told = np.sqrt(((error * slope) ** 2).mean()) / slope
    for part in np.array_split(np.argsort(told, axis=None), 6):
        own = slope.ravel()[part], told.ravel()[part], error.ravel()[part]
        print(f"| {own[0].mean():.2f} | {np.median(own[1]):.2f} | {own[2].std():.2f} |")


def products(voxels: Floats, error: Floats) -> Floats:
    """For distances of about 1, 2, … voxels along a surface: sum of products of errors, and their number."""
    pairs = cKDTree(voxels).query_pairs(FAR_VOXELS + 0.5, output_type="ndarray")
    pairs = np.random.default_rng(0).permutation(pairs)[:MOST_PAIRS]
    apart = np.rint(np.linalg.norm(voxels[pairs[:, 0]] - voxels[pairs[:, 1]], axis=1)).astype(int)
    product = (error[pairs[:, 0]] * error[pairs[:, 1]]).mean(axis=1)
    sums, counts = (
        np.bincount(apart, weights, FAR_VOXELS + 1)[1:] for weights in (product, np.ones(len(pairs)))
    )
    return np.stack([sums, counts], axis=1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("demo", type=Path, help="output folder of the demo")
    main(parser.parse_args().demo)
