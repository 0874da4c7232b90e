"""`curvature`, `distance`, `roughness` and `wedge` at the level of files: a mesh in, and out with arrays."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from surfora.geometry.request import StageRequest
from surfora.geometry.stage import measuring_stage, mesh_beside
from surfora.geometry.surface import SurfaceMesh
from surfora.masks.files import only_membrane
from surfora.measures.curvature import mesh_curvature
from surfora.measures.distance import target_names, with_distances
from surfora.measures.roughness import mesh_roughness
from surfora.measures.settings import CurvatureSettings, DistanceSettings, RoughnessSettings, WedgeSettings
from surfora.measures.wedge import area_shares, mesh_evidence
from tomocore.contract import NOBODY, Batch, InputError, Watcher
from tomocore.page import shown


def curvature_file(
    request: StageRequest, settings: CurvatureSettings = CurvatureSettings(), watcher: Watcher = NOBODY
) -> Batch:
    """Write a mesh with its signed curvatures."""

    def stage(mesh: SurfaceMesh) -> SurfaceMesh:
        with watcher.progress("curvature") as progress:
            return mesh_curvature(mesh, settings, progress)

    return measuring_stage(request, stage, watcher)


def distance_file(
    request: StageRequest,
    to: Sequence[Path],
    settings: DistanceSettings = DistanceSettings(),
    watcher: Watcher = NOBODY,
) -> Batch:
    """Write a mesh with its distance to each of the meshes ``to``; the watcher hears their summaries.

    Raises InputError where two of these have one name, since the arrays are named after them, and where one
    is the mesh itself.
    """
    names = target_names(to)
    for path in to:
        if os.path.realpath(path) == os.path.realpath(request.source):
            raise InputError(
                f"{path}: is the mesh itself, so every distance would be 0; for contacts between its folds: "
                f"surfora contacts {path} --to {path} -o DIR"
            )

    def stage(mesh: SurfaceMesh) -> SurfaceMesh:
        targets = {name: mesh_beside(request, path) for name, path in names.items()}
        measured, summaries = with_distances(mesh, targets, settings)
        for target, summary in summaries.items():
            for name, value in summary.items():
                watcher.say(f"{target} {name} {shown(value)}")
        return measured

    return measuring_stage(request, stage, watcher)


def roughness_file(
    request: StageRequest, settings: RoughnessSettings | None = None, watcher: Watcher = NOBODY
) -> Batch:
    """Write a mesh with its roughness, beside what voxels of the request's edge alone give."""

    def stage(mesh: SurfaceMesh) -> SurfaceMesh:
        with watcher.progress("roughness") as progress:
            return mesh_roughness(mesh, settings, request.voxel_size_nm, progress)

    return measuring_stage(request, stage, watcher)


def wedge_file(
    request: StageRequest, mask: Path, settings: WedgeSettings = WedgeSettings(), watcher: Watcher = NOBODY
) -> Batch:
    """Write a mesh with what of it was measured, by the ``mask`` it is of; the watcher hears the shares."""

    def stage(mesh: SurfaceMesh) -> SurfaceMesh:
        judged = mesh_evidence(mesh, only_membrane(request, mask).support, settings)
        for name, share in area_shares(judged).items():
            watcher.say(f"{name} {shown(share)}")
        return judged

    return measuring_stage(request, stage, watcher)
