"""Curvature against closed forms: ours, the published rule on Monge patches, and VTK's one-ring formula.

    python benchmarks/curvature_accuracy.py [--quick]

Clean meshes have their vertices on the shape, moved about along it; medial ones are meshed from the shape's
voxel mask (1 nm voxels, 4 nm thick) by the medial stage. Errors away from rims (6 nm), in %: of H over at
least 0.02/nm, of K over at least 5e-4/nm², of k1 and k2 over the larger of their sizes; median, and 95th
percentile. Speeds are vertices a second of processor time on one thread, then the gain of two threads on
the clock.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import shapes
from shapes import Shape

from surfora.ballpivot import mesh_points
from surfora.curvature import CurvatureSettings, mesh_curvature
from surfora.geodesics import triangle_fans
from surfora.jets import jet_table
from surfora.medial import medial_points
from surfora.surface import (
    PointCloud,
    SurfaceMesh,
    boundary_vertices,
    to_polydata,
    vertex_areas_nm2,
    vertex_normals,
)
from tomocore.volume import Volume

Floats = NDArray[np.float64]
SHAPES = [
    shapes.sphere(12.0),
    shapes.torus(25.0, 11.0),
    shapes.open_cylinder(15.0, 45.0),
    shapes.catenoid(15.0, 36.0),
    shapes.ellipsoid((30.0, 22.0, 16.0)),
    shapes.wavy_sheet(60.0, 3.0, 40.0),
]
PUBLISHED = CurvatureSettings(scale="stable", coordinates="tangent", order=2)


def clean_mesh(shape: Shape, edge_nm: float = 1.8) -> SurfaceMesh:
    """Vertices on the shape, moved along it by up to a fifth of an edge."""
    vertices, faces = shape.mesh(edge_nm)
    move = np.random.default_rng(0).uniform(-0.2, 0.2, vertices.shape) * edge_nm
    move[boundary_vertices(faces, len(vertices))] = 0
    return SurfaceMesh(shape.feet(vertices + move).points, faces)


def medial_mesh(shape: Shape) -> SurfaceMesh:
    """The medial surface of the shape's voxel mask, its normals turned to the shape's side."""
    mask, origin_nm = shape.voxelise(1.0, 4.0)
    cloud = medial_points(mask, 1.0, origin_nm)
    assert cloud.normals is not None
    against = np.einsum("ij,ij->i", cloud.normals, shape.normals(cloud.points)) < 0
    normals = np.where(against[:, None], -cloud.normals, cloud.normals)
    return mesh_points(PointCloud(cloud.points, normals, cloud.data), support=Volume(mask, 1.0, origin_nm))


def vtk_curvature(mesh: SurfaceMesh) -> dict[str, Floats]:
    """VTK's curvatures from the triangles around each vertex; signed by the winding."""
    poly = to_polydata(SurfaceMesh(mesh.vertices, mesh.faces))
    mean, gaussian = poly.curvature("mean"), poly.curvature("gaussian")
    half = np.sqrt(np.maximum(mean**2 - gaussian, 0.0))
    return {
        "mean_curvature_per_nm": mean,
        "gaussian_curvature_per_nm2": gaussian,
        "k1_per_nm": mean + half,
        "k2_per_nm": mean - half,
    }


def errors(shape: Shape, mesh: SurfaceMesh, found: Any) -> list[float]:
    """Median and 95th percentile errors in % of H, K, k1 and k2."""
    feet = shape.feet(mesh.vertices)
    inside = shape.rim_distance(mesh.vertices) > 6.0
    h, k = feet.mean_curvature, feet.gaussian_curvature
    half = np.sqrt(np.maximum(h**2 - k, 0.0))
    size = np.maximum(np.abs(h) + half, 0.02)
    pairs = [
        (found["mean_curvature_per_nm"] - h) / np.maximum(np.abs(h), 0.02),
        (found["gaussian_curvature_per_nm2"] - k) / np.maximum(np.abs(k), 5e-4),
        (found["k1_per_nm"] - h - half) / size,
        (found["k2_per_nm"] - h + half) / size,
    ]
    row = []
    for error in pairs:
        known = np.abs(error[inside & np.isfinite(error)])
        row += [100 * float(np.median(known)), 100 * float(np.percentile(known, 95))]
    return row


def rows(shape: Shape, mesh: SurfaceMesh, kind: str) -> Iterator[str]:
    """One line for each way of measuring."""
    ours = mesh_curvature(mesh).data
    radius = float(np.nanmedian(ours["curvature_radius_nm"]))
    for name, found in (
        (f"ours ({radius:.0f} nm)", ours),
        ("published", mesh_curvature(mesh, PUBLISHED).data),
        ("vtk", vtk_curvature(mesh)),
    ):
        cells = "".join(f"{value:8.2f}" for value in errors(shape, mesh, found))
        yield f"{shape.name:<14}{kind:<8}{name:<14}{cells}"


def speeds(edge_nm: float = 1.8) -> Iterator[str]:
    """Vertices a second of the fits alone, geodesic balls included, and what a second thread gains."""
    shape = shapes.sphere(40.0)
    vertices, faces = shape.mesh(edge_nm)
    normals, areas = vertex_normals(vertices, faces), vertex_areas_nm2(vertices, faces)
    fans = triangle_fans(vertices, faces)
    sources = np.arange(0, len(vertices), 4)

    def seconds(radii: Floats, orders: tuple[int, ...], threads: int) -> tuple[float, float]:
        numba.set_num_threads(threads)
        best = (np.inf, np.inf)
        for _ in range(3):
            cpu, wall = time.process_time(), time.perf_counter()
            jet_table(sources, radii, orders, vertices, normals, areas, fans)
            best = min(best, (time.process_time() - cpu, time.perf_counter() - wall))
        return best

    scan = np.geomspace(4.0, 24.0, 9)
    for label, radii, orders in (
        ("order 2, 5 edges", np.array([5 * edge_nm]), (2,)),
        ("order 4, 5 edges", np.array([5 * edge_nm]), (4,)),
        ("scale scan 4–24 nm, both orders", scan, (2, 4)),
    ):
        cpu, one = seconds(radii, orders, 1)
        _, two = seconds(radii, orders, 2) if numba.config.NUMBA_NUM_THREADS > 1 else (cpu, one)
        speed, gain = len(sources) / cpu, one / two
        yield f"{label:<34}{speed:10.0f} vertices/CPU-s   two threads {gain:.2f} times as fast"


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="the first two shapes, no speeds")
    quick = parser.parse_args().quick
    header = "".join(f"{name:>8}" for name in ("H", "p95", "K", "p95", "k1", "p95", "k2", "p95"))
    print(f"{'shape':<14}{'mesh':<8}{'method':<14}{header}")
    for shape in SHAPES[:2] if quick else SHAPES:
        for kind, mesh in (("clean", clean_mesh(shape)), ("medial", medial_mesh(shape))):
            print("\n".join(rows(shape, mesh, kind)), flush=True)
    if not quick:
        print("\n".join(speeds()))


if __name__ == "__main__":
    main()
