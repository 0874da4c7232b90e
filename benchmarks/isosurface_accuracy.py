"""Isosurfaces against the true offset surfaces: plain marching cubes, the flow schemes, ours; gaps; speed.

    python benchmarks/isosurface_accuracy.py [--quick]

Masks (1 nm voxels) of membranes rotated and off-centre. Errors are outward from the membrane's middle, at the
vertices, away from rims: bias (negative: the membrane got thinner) and SD, in voxels; the angle between the
normals and the truth is the 95th percentile. Targets: |bias| ≤ 0.05 and SD ≤ 0.05 voxel, gaps of one voxel
kept open, a volume of 256³ in 10 s.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numba
import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import shapes
from shapes import Shape

from surfora.geometry.pieces import component_count
from surfora.geometry.surface import SurfaceMesh
from surfora.isosurface.boundary import isosurface
from surfora.isosurface.settings import IsosurfaceSettings

Mask = NDArray[np.bool_]

SHAPES = [
    (shapes.sphere(12.0), 4.0),
    (shapes.sphere(25.0), 4.0),
    (shapes.torus(), 4.0),
    (shapes.invaginated_vesicle(neck_radius_nm=2.5), 3.0),
    (shapes.open_sphere(), 4.0),
    (shapes.open_cylinder(), 3.0),
    (shapes.catenoid(), 4.0),
    (shapes.wavy_sheet(), 2.0),
]
SCHEMES = {
    "marching cubes": IsosurfaceSettings(scheme="tube", flow_steps=0),
    "Gaussian, σ = 1": IsosurfaceSettings(scheme="tube", flow_steps=0, gaussian_voxels=1.0),
    "published obstacle": IsosurfaceSettings(scheme="published"),
    "published, σ = 1": IsosurfaceSettings(scheme="published", gaussian_voxels=1.0),
    "tube": IsosurfaceSettings(scheme="tube"),
    "surface (ours)": IsosurfaceSettings(),
}


def errors(shape: Shape, thickness_nm: float, mesh: SurfaceMesh) -> tuple[float, float, float]:
    """Bias and SD in voxels, 95th percentile of the normals' error in degrees, away from rims."""
    inland = shape.rim_distance(mesh.vertices) > thickness_nm / 2 + 4
    vertices = mesh.vertices[inland]
    height = shape.signed_distance(vertices)
    side = np.sign(height)
    off = np.abs(height) - thickness_nm / 2
    assert mesh.normals is not None
    cosine = side * np.einsum("ij,ij->i", mesh.normals[inland], shape.normals(vertices))
    turned = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
    return float(off.mean()), float(off.std()), float(np.quantile(turned, 0.95))


def compare_schemes(chosen: list[tuple[Shape, float]]) -> None:
    print("\n| shape (thickness nm) | " + " | ".join(SCHEMES) + " |\n|---" + "|---" * len(SCHEMES) + "|")
    for shape, thickness in chosen:
        mask, origin = shape.voxelise(1.0, thickness)
        cells = []
        for name, settings in SCHEMES.items():
            bias, spread, turned = errors(shape, thickness, isosurface(mask, 1.0, origin, settings))
            missed = " MISS" if "ours" in name and (abs(bias) > 0.05 or spread > 0.05) else ""
            cells.append(f"{bias:+.3f} ± {spread:.3f}, {turned:.1f}°{missed}")
        print(f"| {shape.name} ({thickness:g}) | " + " | ".join(cells) + " |", flush=True)


def compare_gaps() -> None:
    """Two flat slabs with a slit between them: along the voxel planes and turned in space."""
    print("\n| gap | " + " | ".join(SCHEMES) + " |\n|---" + "|---" * len(SCHEMES) + "|")
    for gap in (1, 2, 3):
        slabs = np.zeros((20, 30, 30), dtype=bool)
        slabs[6:9, 4:26, 4:26] = slabs[9 + gap : 12 + gap, 4:26, 4:26] = True
        print(_gap_row(f"{gap} voxels, along the planes", slabs))
        mask, _ = shapes.apposed_sheets(3.0 + gap + 0.5, 30.0).voxelise(1.0, 3.0)
        print(_gap_row(f"{gap}.5 voxels, turned in space", mask), flush=True)


def _gap_row(name: str, mask: Mask) -> str:
    cells = []
    for scheme, settings in SCHEMES.items():
        mesh = isosurface(mask, 1.0, (0.0, 0.0, 0.0), settings)
        apart = component_count(mesh.faces, len(mesh.vertices)) == 2
        cells.append("open" if apart else "closed MISS" if "ours" in scheme else "closed")
    return f"| {name} | " + " | ".join(cells) + " |"


def measure_speed(quick: bool) -> None:
    """A membrane that spans its volume, with one thread and with two."""
    width = 128 if quick else 256
    axis = np.arange(width) - width / 2 + 0.3
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij", sparse=True)
    radius = np.sqrt(x**2 + y**2 + z**2)
    mask = np.abs(radius - 0.42 * width) <= 2.0
    isosurface(mask[:24], 1.0)  # compile
    print(f"\n| {width}³ | seconds, one thread | two threads | ratio | triangles |\n|---|---|---|---|---|")
    for name in ("marching cubes", "published obstacle", "surface (ours)"):
        spent, cpu = [], []
        for threads in (1, min(2, numba.config.NUMBA_NUM_THREADS)):
            numba.set_num_threads(threads)
            clock, busy = time.perf_counter(), time.process_time()
            mesh = isosurface(mask, 1.0, (0.0, 0.0, 0.0), SCHEMES[name])
            spent.append(time.perf_counter() - clock)
            cpu.append(time.process_time() - busy)
        missed = " MISS (10)" if not quick and "ours" in name and spent[1] > 10 else ""
        print(
            f"| {name} | {spent[0]:.1f} (CPU {cpu[0]:.1f}) | {spent[1]:.1f} (CPU {cpu[1]:.1f}){missed} | "
            f"{spent[0] / spent[1]:.2f} | {len(mesh.faces)} |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="three shapes, and 128³ for the speed")
    quick = parser.parse_args().quick
    compare_schemes(SHAPES[::3] if quick else SHAPES)
    compare_gaps()
    measure_speed(quick)


if __name__ == "__main__":
    main()
