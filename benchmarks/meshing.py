"""Meshing against the alternatives: our ball pivoting, Open3D's at two lists of radii, Poisson alone.

    python benchmarks/meshing.py            all shapes, then the gap filter and the kernels' threads

Clouds: Poisson-disc samplings of analytic membranes (rotated, off-centre), rim first, with noise across the
surface. Columns: boundary loops beyond the shape's own; edges on more than two triangles; triangles wound
against the shape; area error in %; share of the true surface within half a spacing of the mesh (coverage);
share of the mesh's area farther than one spacing from the true surface (false area); triangles a CPU-second.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numba
import numpy as np
from scipy.spatial import cKDTree

from surfora.geometry.arrays import Floats, Ints

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import shapes
from shapes import Shape

from surfora.geometry.open3d_bridge import import_open3d
from surfora.geometry.sampling import poisson_disc
from surfora.geometry.surface import (
    PointCloud,
    SurfaceMesh,
    edges_and_counts,
    face_areas_nm2,
    face_cross_products,
)
from surfora.meshing.ballpivot import ball_pivot, mesh_points, sheet_neighbours
from surfora.meshing.gap_filter import gap_tests
from surfora.meshing.loops import boundary_loops
from surfora.meshing.pivot_kernel import Cloud, Limits, Rows
from surfora.meshing.settings import SmoothSettings
from surfora.meshing.smoothing import smooth_mesh
from tomocore.volumes.volume import Volume

SHAPES = [
    shapes.sphere(12.0),
    shapes.sphere(25.0),
    shapes.torus(),
    shapes.invaginated_vesicle(neck_radius_nm=2.5),
    shapes.open_sphere(),
    shapes.open_cylinder(),
    shapes.catenoid(),
    shapes.wavy_sheet(),
    shapes.apposed_sheets(3.0),
    shapes.apposed_spheres(separation_nm=4.0),
]


class Score(NamedTuple):
    """One mesher on one shape."""

    spurious_loops: int
    non_manifold_edges: int
    wound_against: int
    area_error_percent: float
    coverage_percent: float
    false_area_percent: float
    triangles_per_cpu_s: float


def membrane_cloud(shape: Shape, spacing_nm: float, noise_nm: float) -> tuple[Floats, Floats]:
    """Points and normals of a Poisson-disc sampling, the rim first, ``noise_nm`` (SD) off the surface."""
    points, _ = shape.sample(count=int(12 * shape.area_nm2 / spacing_nm**2))
    rims = [rim @ shape.rotation.T + shape.centre_nm for rim in shape.patch.rims]
    points = np.concatenate([*rims, points])
    first = np.arange(len(points)) < sum(map(len, rims))
    points = points[poisson_disc(points, spacing_nm, order=first)]
    normals = shape.normals(points)
    random = np.random.default_rng(0)
    return points + normals * random.normal(0, noise_nm, (len(points), 1)), normals


def open3d_cloud(points: Floats, normals: Floats) -> Any:
    o3d = import_open3d()
    cloud = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(points))
    cloud.normals = o3d.utility.Vector3dVector(normals)
    return cloud


def ours(points: Floats, normals: Floats, spacing_nm: float) -> tuple[Floats, Ints]:
    return points, ball_pivot(points, normals, spacing_nm=spacing_nm)


def open3d_pivoting(factors: tuple[float, ...]) -> Callable[[Floats, Floats, float], tuple[Floats, Ints]]:
    def mesh(points: Floats, normals: Floats, spacing_nm: float) -> tuple[Floats, Ints]:
        o3d = import_open3d()
        radii = o3d.utility.DoubleVector([factor * spacing_nm for factor in factors])
        made = o3d.geometry.TriangleMesh.create_from_point_cloud_ball_pivoting(
            open3d_cloud(points, normals), radii
        )
        return np.asarray(made.vertices), np.asarray(made.triangles).astype(np.int64)

    return mesh


def poisson(points: Floats, normals: Floats, spacing_nm: float) -> tuple[Any, Floats]:
    """Open3D's screened Poisson mesh, cells about as wide as the spacing, and its density at the vertices."""
    o3d = import_open3d()
    depth = int(np.clip(np.ceil(np.log2(1.1 * np.ptp(points, axis=0).max() / spacing_nm)), 5, 8))
    made, density = o3d.geometry.TriangleMesh.create_from_point_cloud_poisson(
        open3d_cloud(points, normals), depth=depth
    )
    return made, np.asarray(density)


def poisson_dense(points: Floats, normals: Floats, spacing_nm: float) -> tuple[Floats, Ints]:
    """Poisson with its lowest 1 % of density trimmed."""
    made, density = poisson(points, normals, spacing_nm)
    made.remove_vertices_by_mask(density < np.quantile(density, 0.01))
    return np.asarray(made.vertices), np.asarray(made.triangles).astype(np.int64)


def poisson_near(points: Floats, normals: Floats, spacing_nm: float) -> tuple[Floats, Ints]:
    """Poisson trimmed to within one spacing of a point, as surface_morphometrics trims at a distance."""
    made, _ = poisson(points, normals, spacing_nm)
    made.remove_vertices_by_mask(cKDTree(points).query(np.asarray(made.vertices))[0] > spacing_nm)
    return np.asarray(made.vertices), np.asarray(made.triangles).astype(np.int64)


MESHERS: dict[str, Callable[[Floats, Floats, float], tuple[Floats, Ints]]] = {
    "ours": ours,
    "Open3D 1.5": open3d_pivoting((1.5,)),
    "Open3D 1, 1.4, 2": open3d_pivoting((1.0, 1.4, 2.0)),
    "Poisson, dense": poisson_dense,
    "Poisson, near": poisson_near,
}


def distance_to_mesh(vertices: Floats, faces: Ints, queries: Floats) -> Floats:
    o3d = import_open3d()
    scene = o3d.t.geometry.RaycastingScene()
    scene.add_triangles(vertices.astype(np.float32), faces.astype(np.uint32))
    return scene.compute_distance(queries.astype(np.float32)).numpy()


def scored(shape: Shape, spacing_nm: float, vertices: Floats, faces: Ints, seconds: float) -> Score:
    centres = vertices[faces].mean(axis=1)
    area = face_areas_nm2(vertices, faces)
    along = np.einsum("ij,ij->i", face_cross_products(vertices, faces), shape.normals(centres))
    truth, _ = shape.sample(count=5000, seed=1)
    return Score(
        spurious_loops=len(boundary_loops(faces)) - shape.boundary_loops,
        non_manifold_edges=int((edges_and_counts(faces)[1] > 2).sum()),
        wound_against=int((along < 0).sum()),
        area_error_percent=100 * (area.sum() / shape.area_nm2 - 1),
        coverage_percent=100 * float(np.mean(distance_to_mesh(vertices, faces, truth) < spacing_nm / 2)),
        false_area_percent=100
        * float(area[np.abs(shape.signed_distance(centres)) > spacing_nm].sum() / area.sum()),
        triangles_per_cpu_s=len(faces) / seconds,
    )


def compare_meshers(spacing_nm: float, noise_nm: float) -> None:
    print(f"spacing {spacing_nm} nm, noise {noise_nm} nm (SD)")
    for mesher in MESHERS.values():  # compile, load
        mesher(*membrane_cloud(SHAPES[0], 3.0, 0.0), 3.0)
    header = ("shape", "mesher", "loops", "non-man.", "against", "area %", "cover %", "false %", "tri/CPU-s")
    print("| " + " | ".join(header) + " |\n" + "|---" * len(header) + "|")
    for shape in SHAPES:
        points, normals = membrane_cloud(shape, spacing_nm, noise_nm)
        for name, mesher in MESHERS.items():
            start = time.process_time()
            vertices, faces = mesher(points, normals, spacing_nm)
            row = scored(shape, spacing_nm, vertices, faces, time.process_time() - start)
            missed = (
                " MISS" if mesher is ours and (row.spurious_loops or abs(row.area_error_percent) > 1) else ""
            )
            print(
                f"| {shape.name} | {name} | {row.spurious_loops:+d} | {row.non_manifold_edges} | "
                f"{row.wound_against} | {row.area_error_percent:+.2f}{missed} | {row.coverage_percent:.2f} | "
                f"{row.false_area_percent:.2f} | {row.triangles_per_cpu_s:.0f} |",
                flush=True,
            )


def measure_gap_filter() -> None:
    """Triangles planted across a slit of a flat sheet's mask, so that each one reaches the box tests."""
    sheet = shapes.flat_sheet(60.0, 60.0)
    mask, origin = sheet.voxelise(1.0, 3.0)
    inside = np.argwhere(mask)
    support = Volume(mask, 1.0, origin)
    for width in (2.3, 3.0):
        across = ((support.world(inside) - sheet.centre_nm) @ sheet.rotation)[:, 0]
        slit = mask.copy()
        slit[tuple(inside[np.abs(across) < width / 2].T)] = False
        random = np.random.default_rng(0)
        local = np.stack(
            [np.full(300_000, -1.6), random.uniform(-28, 28, 300_000), np.zeros(300_000)], axis=1
        )
        corner = local[:, None] + np.array([[0, 0, 0], [3.2, 0.3, 0.1], [0.2, 1.8, -0.1]])
        vertices = corner.reshape(-1, 3) @ sheet.rotation.T + sheet.centre_nm
        faces = np.arange(len(vertices)).reshape(-1, 3)
        gap_tests(vertices[:300], faces[:100], support.with_data(slit))
        start = time.perf_counter()
        tested = gap_tests(vertices, faces, support.with_data(slit))
        seconds = time.perf_counter() - start
        print(
            f"gap filter, slit of {width} voxels: {100 * (~tested.keep).mean():.2f} % of bridges dropped, "
            f"{tested.box_tests.mean():.1f} box tests a triangle (least {tested.box_tests.min()}), "
            f"{len(faces) / seconds:.3g} triangles/s, {tested.box_tests.sum() / seconds:.3g} box tests/s"
        )


def measure_large_mesh() -> None:
    """A torus of 190k triangles: pivoting, the whole stage, smoothing; then one thread against two."""
    shape = shapes.torus(100.0, 40.0)
    points, normals = membrane_cloud(shape, 1.0, 0.05)
    cloud = PointCloud(points, normals, {"spacing_nm": np.ones(len(points))})
    support = mask_around(points)
    steps: dict[str, Callable[[], Any]] = {
        "pivot": lambda: ball_pivot(points, normals, spacing_nm=1.0),
        "mesh (gaps, loops)": lambda: mesh_points(cloud, support=support),
    }
    faces = ball_pivot(points, normals, spacing_nm=1.0)
    steps["smooth, 5 passes"] = lambda: smooth_mesh(SurfaceMesh(points, faces))
    for name, step in steps.items():
        seconds, cpu = timed(step)
        print(
            f"{len(points)} points, {len(faces)} triangles, {name}: {seconds:.2f} s ({cpu:.2f} CPU-s), "
            f"{len(faces) / seconds:.3g} triangles/s"
        )
    parallel = {
        "gap tests": lambda: gap_tests(points, faces, support),
        "neighbours": neighbour_search(points, normals),
    }
    for name, step in parallel.items():
        spent = []
        for threads in (1, min(2, numba.get_num_threads())):
            numba.set_num_threads(threads)
            spent.append(min(timed(step)[0] for _ in range(3)))
        print(f"{name}: two threads {spent[0] / spent[1]:.2f} times as fast as one")


def timed(step: Callable[[], Any]) -> tuple[float, float]:
    """Seconds by the clock and of CPU."""
    clock, cpu = time.perf_counter(), time.process_time()
    step()
    return time.perf_counter() - clock, time.process_time() - cpu


def mask_around(points: Floats) -> Volume:
    """A mask three voxels of 1 nm thick about the points."""
    low = points.min(axis=0) - 3
    index = np.round(points - low).astype(int)[:, ::-1]
    mask = np.zeros(index.max(axis=0) + 4, dtype=bool)
    for step in np.stack(np.meshgrid(*[[-1, 0, 1]] * 3), axis=-1).reshape(-1, 3):
        mask[tuple((index + step).T)] = True
    return Volume(mask, 1.0, (float(low[0]), float(low[1]), float(low[2])))


def neighbour_search(points: Floats, normals: Floats) -> Callable[[], Any]:
    """The neighbour kernel alone, on points sorted into one row each 3 nm of x and y."""
    low = points.min(axis=0)
    column = ((points[:, :2] - low[:2]) / 3.0).astype(np.int64)
    nx, ny = (int(v) + 1 for v in column.max(axis=0))
    row = column[:, 0] * ny + column[:, 1]
    order = np.lexsort((points[:, 2], row))
    rows = Rows(
        np.searchsorted(row[order], np.arange(nx * ny + 1)), nx, ny, float(low[0]), float(low[1]), 3.0
    )
    cloud = Cloud(points[order], normals[order], np.ones(len(points)))
    asked = np.ones(len(points), dtype=np.bool_)
    return lambda: sheet_neighbours(cloud, rows, Limits(0.7, 0.0, 0.3), asked, 3.0)


def measure_smoothing() -> None:
    """Radius kept and noise left after smoothing spheres."""
    for radius in (12.0, 25.0):
        shape = shapes.sphere(radius)
        points, normals = membrane_cloud(shape, 1.5, 0.1)
        mesh = SurfaceMesh(points, ball_pivot(points, normals, spacing_nm=1.5))
        for method in ("damped", "bilateral", "plain"):
            settings = SmoothSettings.model_validate({"method": method})
            off = shape.signed_distance(smooth_mesh(mesh, settings).vertices)
            print(
                f"smoothing a sphere of {radius:.0f} nm, {method}: radius {100 * off.mean() / radius:+.3f} "
                f"%, noise 0.100 -> {off.std():.3f} nm"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--spacing", type=float, default=1.5, help="sampling distance in nm")
    parser.add_argument("--noise", type=float, default=0.07, help="SD of the noise across the surface in nm")
    chosen = parser.parse_args()
    compare_meshers(chosen.spacing, chosen.noise)
    measure_gap_filter()
    measure_smoothing()
    measure_large_mesh()


if __name__ == "__main__":
    main()
