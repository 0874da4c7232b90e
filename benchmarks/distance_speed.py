"""Distances between surfaces: exactness and speed of ours, of nearest vertices, VTK, trimesh and libigl.

    python benchmarks/distance_speed.py

From the vertices of one membrane to another beside it. The reference is the distance to every triangle, in
double precision, for a sample of the vertices. Errors in nm; nearest vertices can only be too far. Queries
a second of the clock, all of a method's set-up included, in one run. trimesh and libigl are compared where
they are installed.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import vtk
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import shapes

from surfora.geometry.nearest import closest_points_on_triangles, surface_distance
from surfora.geometry.surface import SurfaceMesh, to_polydata, vertex_normals

try:
    import igl
except ImportError:
    igl = None
try:
    import rtree  # noqa: F401  (trimesh asks for it only when it is too late)
    import trimesh
except ImportError:
    trimesh = None

Floats = NDArray[np.float64]
TARGET_NM = 1e-5
SAMPLE = 200


def pairs(edge_nm: float) -> Iterator[tuple[str, SurfaceMesh, SurfaceMesh]]:
    """Two membranes side by side: closed, open and wavy."""
    for name, first, second in (
        ("sphere to torus", shapes.sphere(25.0), shapes.torus(25.0, 11.0)),
        ("cylinder to wavy sheet", shapes.open_cylinder(15.0, 60.0), shapes.wavy_sheet(60.0, 3.0, 40.0)),
    ):
        meshes = []
        for shape, shift in ((first, np.zeros(3)), (second, np.array([0.0, 0.0, 40.0]))):
            vertices, faces = shape.mesh(edge_nm)
            vertices = vertices - vertices.mean(axis=0) + shift
            meshes.append(SurfaceMesh(vertices, faces, vertex_normals(vertices, faces)))
        yield name, meshes[0], meshes[1]


def exhaustive(points: Floats, target: SurfaceMesh) -> Floats:
    """Distances (n,) in nm to the nearest of all triangles."""
    corners = target.vertices[target.faces]
    found = []
    for point in points:
        way = closest_points_on_triangles(np.broadcast_to(point, (len(corners), 3)), corners) - point
        found.append(np.sqrt((way**2).sum(axis=1).min()))
    return np.array(found)


def of_nearest_vertices(mesh: SurfaceMesh, target: SurfaceMesh) -> Floats:
    return np.asarray(cKDTree(target.vertices).query(mesh.vertices)[0])


def of_vtk(mesh: SurfaceMesh, target: SurfaceMesh) -> Floats:
    implicit = vtk.vtkImplicitPolyDataDistance()
    implicit.SetInput(to_polydata(SurfaceMesh(target.vertices, target.faces)))
    found = numpy_to_vtk(np.zeros(len(mesh.vertices)))
    implicit.FunctionValue(numpy_to_vtk(np.ascontiguousarray(mesh.vertices)), found)
    return np.abs(vtk_to_numpy(found))


def of_trimesh(mesh: SurfaceMesh, target: SurfaceMesh) -> Floats:
    solid = trimesh.Trimesh(target.vertices, target.faces, process=False)
    return np.asarray(trimesh.proximity.closest_point(solid, mesh.vertices)[1])


def of_igl(mesh: SurfaceMesh, target: SurfaceMesh) -> Floats:
    squared = igl.point_mesh_squared_distance(
        np.ascontiguousarray(mesh.vertices), np.ascontiguousarray(target.vertices), target.faces
    )[0]
    return np.sqrt(squared)


def rows(name: str, mesh: SurfaceMesh, target: SurfaceMesh) -> Iterator[str]:
    """One line a method; ours comes first, with side, angle and line of sight."""
    ways: list[tuple[str, Callable[[SurfaceMesh, SurfaceMesh], Floats]]] = [
        ("ours, with side and line of sight", lambda a, b: surface_distance(a, b).distance_nm),
        ("nearest vertices", of_nearest_vertices),
        ("VTK implicit distance", of_vtk),
    ]
    ways += [("trimesh", of_trimesh)] if trimesh is not None else []
    ways += [("libigl", of_igl)] if igl is not None else []
    sample = np.random.default_rng(0).choice(len(mesh.vertices), SAMPLE, replace=False)
    exact = exhaustive(mesh.vertices[sample], target)
    ours_per_second = 0.0
    for way, distances in ways:
        best = np.inf
        for _ in range(1 if way == "trimesh" else 3):
            begun = time.perf_counter()
            found = distances(mesh, target)
            best = min(best, time.perf_counter() - begun)
        error = found[sample] - exact
        speed = len(mesh.vertices) / best
        ours_per_second = ours_per_second or speed
        largest = np.abs(error).max()
        judged = "" if way[:4] != "ours" else "met" if largest <= TARGET_NM else f"MISS > {TARGET_NM:g}"
        yield (
            f"| {name} | {way} | {error.mean():+.2g} | {largest:.2g} | {speed:,.0f} "
            f"| {speed / ours_per_second:.2f} × | {judged} |"
        )


def main() -> None:
    """Print the table."""
    print("| from, to | method | mean error (nm) | largest error (nm) | queries/s | speed | target |")
    print("|---|---|---|---|---|---|---|")
    for name, mesh, target in pairs(edge_nm=1.1):
        size = f"{name}, {len(mesh.vertices) // 1000}k vertices, {len(target.faces) // 1000}k triangles"
        print("\n".join(rows(size, mesh, target)), flush=True)


if __name__ == "__main__":
    main()
