"""Roughness: waves of known height against the filter's closed form, what form leaves, and the voxels' floor.

python benchmarks/roughness.py
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numba
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).parent))

import shapes
from curvature_accuracy import medial_mesh

from surfora.geometry.surface import SurfaceMesh
from surfora.measures.roughness import mesh_roughness, transfer, voxel_noise_floor_nm
from surfora.measures.settings import RoughnessSettings

SHEET = shapes.flat_sheet(90.0, 80.0)
AMPLITUDE_NM = 0.4
SETTINGS = RoughnessSettings(membrane_thickness_nm=4.0)
CUTOFF_NM = SETTINGS.cutoff_wavelength_nm


def waves() -> Iterator[str]:
    """Measured over expected roughness of a sheet with one wave."""
    vertices, faces = SHEET.mesh(1.8)
    along = (vertices - SHEET.centre_nm) @ SHEET.rotation @ [0.8, 0.6, 0.0]
    inside = SHEET.rim_distance(vertices) > 20
    for wavelength in (8.0, 12.0, 16.0, 20.0, 30.0):
        wave = AMPLITUDE_NM * np.sin(2 * np.pi * along / wavelength)
        rough = mesh_roughness(SurfaceMesh(vertices + wave[:, None] * SHEET.rotation[:, 2], faces))
        found = np.sqrt(np.nanmean(rough.data["roughness_nm"][inside] ** 2))
        share = float(transfer(np.array([wavelength / CUTOFF_NM]))[0])
        expected = AMPLITUDE_NM / np.sqrt(2) * share
        error = 100 * (found / expected - 1)
        judged = "met" if abs(error) <= 7 else "MISS"
        yield f"| {wavelength:.0f} | {share:.2f} | {expected:.4f} | {found:.4f} | {error:+.1f} | {judged} |"


def forms() -> Iterator[str]:
    """What smooth forms leave, clean and from voxels; the floor says what voxels alone should."""
    floor = voxel_noise_floor_nm(1.0, 4.0, 1.75 * 4.0, CUTOFF_NM)
    for shape in (
        shapes.sphere(15.0),
        shapes.sphere(25.0),
        shapes.open_cylinder(15.0, 80.0),
        shapes.torus(25.0, 11.0),
        shapes.wavy_sheet(80.0, 3.0, 40.0),
    ):
        clean = mesh_roughness(SurfaceMesh(*shape.mesh(1.8)), SETTINGS).data["roughness_nm"]
        voxels = mesh_roughness(medial_mesh(shape), SETTINGS).data["roughness_nm"]
        values = (
            f"{np.nanmedian(clean):.4f} | {np.nanmedian(voxels):.3f} | {np.nanpercentile(voxels, 95):.3f}"
        )
        yield f"| {shape.name} | {values} | {floor:.3f} |"


def speed() -> str:
    """Vertices a second of one thread's time, and what a second thread gains on the clock."""
    mesh = SurfaceMesh(*shapes.sphere(40.0).mesh(1.8))
    walls = []
    for threads in (1, min(2, numba.config.NUMBA_NUM_THREADS)):
        numba.set_num_threads(threads)
        begun, cpu = time.perf_counter(), time.process_time()
        mesh_roughness(mesh)
        walls.append(time.perf_counter() - begun)
        if threads == 1:
            per_second = len(mesh.vertices) / (time.process_time() - cpu)
    return f"{per_second:,.0f} vertices/CPU-s on one thread; two threads {walls[0] / walls[1]:.2f} × as fast"


def main() -> None:
    """Print the tables."""
    print(f"A wave of {AMPLITUDE_NM} nm on a flat sheet, cut-off {CUTOFF_NM:.0f} nm:\n")
    print("| wavelength (nm) | passes | expected (nm) | measured (nm) | error (%) | target 7 % |")
    print("|---|---|---|---|---|---|")
    print("\n".join(waves()))
    print("\nSmooth forms; voxels of 1 nm, 4 nm thick:\n")
    print("| shape | clean (nm) | from voxels (nm) | its p95 (nm) | floor told (nm) |")
    print("|---|---|---|---|---|")
    for line in forms():
        print(line, flush=True)
    print("\n" + speed())


if __name__ == "__main__":
    main()
