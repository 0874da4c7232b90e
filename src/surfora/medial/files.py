"""`medial` at the level of files: a mask in, points on its middle out."""

from __future__ import annotations

from surfora.geometry.request import StageRequest
from surfora.geometry.stage import written_stage
from surfora.geometry.surface import PointCloud
from surfora.masks.files import only_membrane
from surfora.medial.points import medial_points
from surfora.medial.settings import MedialSettings
from tomocore.contract import NOBODY, Batch, Watcher


def medial_file(
    request: StageRequest, settings: MedialSettings = MedialSettings(), watcher: Watcher = NOBODY
) -> Batch:
    """Write points on the middle of a mask's one membrane, their normals' side not yet decided."""

    def stage() -> PointCloud:
        membrane = only_membrane(request)
        voxel_nm, origin_nm = membrane.voxel_size_nm, membrane.origin_nm
        with watcher.progress("medial points") as progress:
            return medial_points(membrane.mask, voxel_nm, origin_nm, settings, progress)

    return written_stage(request, stage, watcher)
