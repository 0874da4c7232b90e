"""`mesh` and `smooth` at the level of files: oriented points in, a mesh out; a mesh in, a smooth one out."""

from __future__ import annotations

from pathlib import Path

from surfora.geometry.request import StageRequest
from surfora.geometry.stage import mesh_stage, point_stage
from surfora.geometry.surface import PointCloud, SurfaceMesh
from surfora.masks.files import only_membrane
from surfora.meshing.ballpivot import mesh_points
from surfora.meshing.settings import MeshSettings, SmoothSettings
from surfora.meshing.smoothing import smooth_mesh
from tomocore.contract import NOBODY, Batch, Watcher


def mesh_file(
    request: StageRequest,
    settings: MeshSettings = MeshSettings(),
    mask: Path | None = None,
    watcher: Watcher = NOBODY,
) -> Batch:
    """Write the mesh over oriented points; no triangle where the ``mask`` they came from has no voxel."""

    def stage(cloud: PointCloud) -> SurfaceMesh:
        support = only_membrane(request, mask).support if mask else None
        with watcher.progress("ball pivoting") as progress:
            return mesh_points(cloud, settings, support=support, progress=progress)

    return point_stage(request, stage, watcher)


def smooth_file(
    request: StageRequest, settings: SmoothSettings = SmoothSettings(), watcher: Watcher = NOBODY
) -> Batch:
    """Write a mesh smoothed without shrinking it; its border stays."""
    return mesh_stage(request, lambda mesh: smooth_mesh(mesh, settings), watcher)
