"""How much memory a step of a tomogram takes, from the size of its volumes, before it begins."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tomocore.volumes.formats import inspect_volume
from tomorois.network.settings import CHANNELS
from tomorois.training.settings import TrainSettings
from tomosurf.project import ProjectSettings, TomogramPlan

if TYPE_CHECKING:
    from tomosurf.steps import StepMaker

GIB = 2**30
LIBRARIES_BYTES = {"confidence": 0, "rois": 300_000_000, "surfaces": 600_000_000}
"""What a process takes that has loaded a step and has nothing to do; predictions count it themselves."""
BYTES_A_VOXEL = {"rois": 40, "surfaces": 30}
"""Bytes that a step is given for each voxel: finding one ROI took 13 of 6.3 million, surfaces are a guess."""


BYTES_A_TAUGHT_VOXEL = {"labels": 3, "binned": 2, "prepared": 24}
"""Of a training: labels and rejected ROIs of all tomograms, a channel of the binned ones, one at work."""
LEARNING_BYTES = 1_500_000_000
"""What a training takes beside its tomograms: PyTorch, patches and their channels, a part to validate on."""


def training_memory_bytes(plans: Sequence[TomogramPlan], train: TrainSettings, sees_membranes: bool) -> int:
    """Bytes that a training on tomograms takes at most; all of them are held, binned, till its end."""
    voxels = [math.prod(inspect_volume(plan.tomogram).shape) for plan in plans]
    channels = 1 + (CHANNELS if sees_membranes else 0) + 2  # with target and weight
    a_voxel = BYTES_A_TAUGHT_VOXEL["labels"] + BYTES_A_TAUGHT_VOXEL["binned"] * channels / train.bin_factor**3
    return round(
        LEARNING_BYTES + a_voxel * sum(voxels) + BYTES_A_TAUGHT_VOXEL["prepared"] * max(voxels, default=0)
    )


def step_memory_bytes(step: str, plan: TomogramPlan, settings: ProjectSettings, maker: StepMaker) -> int:
    """Bytes that a step of a tomogram takes at most, in tiles of [predict] where ``maker``'s model predicts.

    Raises InputError for a tomogram that cannot be read.
    """
    header = inspect_volume(plan.tomogram)
    voxels = math.prod(header.shape)
    if step != "confidence" or maker.finder is None:
        return LIBRARIES_BYTES[step] + BYTES_A_VOXEL.get(step, 0) * voxels
    from tomorois.prediction.predict import prediction_memory_bytes

    finder = maker.finder
    z, y, x = header.shape
    edge_nm = plan.voxel_size_nm or sum(header.voxel_size_nm) / 3
    ratio = max(1.0, finder.record.voxel_size_nm / edge_nm)
    whole = prediction_memory_bytes(
        finder.network, (z, y, x), ratio, orientations=settings.predict.orientations
    )
    return min(whole, int(settings.predict.max_memory_gib * GIB))
