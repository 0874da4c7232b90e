"""`isosurface` at the level of files: a mask in, its boundary as a mesh out."""

from __future__ import annotations

from pathlib import Path

from surfora.geometry.files import read_mesh
from surfora.geometry.request import StageRequest
from surfora.geometry.stage import written_stage
from surfora.geometry.surface import SurfaceMesh
from surfora.isosurface.boundary import isosurface
from surfora.isosurface.settings import IsosurfaceSettings
from surfora.masks.files import only_membrane
from tomocore.contract import NOBODY, Batch, Watcher


def isosurface_file(
    request: StageRequest,
    settings: IsosurfaceSettings = IsosurfaceSettings(),
    medial: Path | None = None,
    watcher: Watcher = NOBODY,
) -> Batch:
    """Write the boundary of a mask's one membrane; holes that the ``medial`` mesh closes are closed in it."""

    def stage() -> SurfaceMesh:
        membrane = only_membrane(request)
        middle = read_mesh(medial) if medial else None
        voxel_nm, origin_nm = membrane.voxel_size_nm, membrane.origin_nm
        with watcher.progress("isosurface") as progress:
            return isosurface(membrane.mask, voxel_nm, origin_nm, settings, progress, middle)

    return written_stage(request, stage, watcher)
