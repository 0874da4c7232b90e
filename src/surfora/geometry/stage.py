"""One stage from file to file: points or a mesh in, a surface out, unless it is there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from surfora.geometry.files import read_mesh, read_points, surface_target, write_surface
from surfora.geometry.request import StageRequest
from surfora.geometry.surface import PointCloud, SurfaceMesh
from tomocore.contract import NOBODY, Batch, Watcher
from tomocore.files import require_writable_folder


def written_stage(
    request: StageRequest,
    stage: Callable[[], PointCloud | SurfaceMesh],
    watcher: Watcher = NOBODY,
    with_values: bool = False,
) -> Batch:
    """Write what the stage returns to the request's target, unless it is there; what became of it.

    Raises InputError for a target that cannot hold it; ``with_values`` at its points are what matters.
    """
    batch = Batch(watcher)

    def one(path: Path) -> str:
        surface_target(path, with_values)
        surface = stage()
        require_writable_folder(path.parent)
        write_surface(path, surface)
        return f"wrote {path}"

    batch.make(request.target, request.overwrite, one)
    return batch


def point_stage(
    request: StageRequest,
    stage: Callable[[PointCloud], PointCloud | SurfaceMesh],
    watcher: Watcher = NOBODY,
) -> Batch:
    """`written_stage` of the points in the request's file. Raises InputError where it holds none."""
    return written_stage(request, lambda: stage(points_beside(request, request.source)), watcher)


def mesh_stage(
    request: StageRequest, stage: Callable[[SurfaceMesh], SurfaceMesh], watcher: Watcher = NOBODY
) -> Batch:
    """`written_stage` of the mesh in the request's file. Raises InputError where it holds none."""
    return written_stage(request, lambda: stage(mesh_beside(request, request.source)), watcher)


def measuring_stage(
    request: StageRequest, stage: Callable[[SurfaceMesh], SurfaceMesh], watcher: Watcher = NOBODY
) -> Batch:
    """`mesh_stage` of a stage that measures: its target must keep values of vertices."""
    return written_stage(
        request, lambda: stage(mesh_beside(request, request.source)), watcher, with_values=True
    )


def points_beside(request: StageRequest, path: Path) -> PointCloud:
    """The points in a file whose lengths are read as the request's own."""
    return read_points(path, request.unit, request.voxel_size_nm)


def mesh_beside(request: StageRequest, path: Path) -> SurfaceMesh:
    """The mesh in a file whose lengths are read as the request's own."""
    return read_mesh(path, request.unit, request.voxel_size_nm)
