"""How much memory a step of a tomogram takes, from the size of its volumes, before it begins."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tomocore.volumes.formats import inspect_volume
from tomosurf.project import ProjectSettings, TomogramPlan

if TYPE_CHECKING:
    from tomorois.prediction.files import Predictor

GIB = 2**30
LIBRARIES_BYTES = {"confidence": 0, "rois": 300_000_000, "surfaces": 600_000_000}
"""What a process takes that has loaded a step and has nothing to do; predictions count it themselves."""
BYTES_A_VOXEL = {"rois": 40, "surfaces": 30}
"""Bytes that a step is given for each voxel: finding one ROI took 13 of 6.3 million, surfaces are a guess."""


def step_memory_bytes(
    step: str, plan: TomogramPlan, settings: ProjectSettings, finder: Predictor | None
) -> int:
    """Bytes that a step of a tomogram takes at most, in tiles of [predict] where it predicts.

    ``finder`` is the model, needed for predictions. Raises InputError for a tomogram that cannot be read.
    """
    header = inspect_volume(plan.tomogram)
    voxels = math.prod(header.shape)
    if step != "confidence" or finder is None:
        return LIBRARIES_BYTES[step] + BYTES_A_VOXEL.get(step, 0) * voxels
    from tomorois.prediction.predict import prediction_memory_bytes

    z, y, x = header.shape
    edge_nm = plan.voxel_size_nm or sum(header.voxel_size_nm) / 3
    ratio = max(1.0, finder.record.voxel_size_nm / edge_nm)
    whole = prediction_memory_bytes(
        finder.network, (z, y, x), ratio, orientations=settings.predict.orientations
    )
    return min(whole, int(settings.predict.max_memory_gib * GIB))
