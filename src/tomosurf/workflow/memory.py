"""How much memory a step of a tomogram takes, from the size of its volumes, before it begins."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tomocore.volumes.formats import inspect_volume
from tomorois.network.settings import CHANNELS
from tomorois.training.settings import TrainSettings
from tomosurf.project import Project, ProjectSettings, TomogramPlan
from tomosurf.taught import taught_plans

if TYPE_CHECKING:
    from tomorois.prediction.files import Predictor
    from tomosurf.steps import StepMaker

GIB = 2**30
LIBRARIES_BYTES = {"confidence": 0, "rois": 300_000_000, "surfaces": 600_000_000}
"""What a process takes that has loaded a step and has nothing to do; predictions count it themselves."""
BYTES_A_VOXEL = {"rois": 40, "surfaces": 30}
"""Bytes that a step is given for each voxel: finding one ROI took 13 of 6.3 million, surfaces are a guess."""

# Trainings of 2 to 131 million voxels took 550 MB, of the largest tomogram 12 bytes a voxel with membranes
# and 6 without, and what their arrays are; a fifth is added. The first one of a machine compiles, and takes
# 250 MB more, which the factor of [cluster] covers.
LEARNING_BYTES = 650_000_000
"""What a training takes that has loaded its libraries."""
CUDA_BYTES = 2_500_000_000
"""What these take besides where it is computed on a GPU: a guess."""
PREPARED_BYTES = {True: 14, False: 8}
"""For each voxel of the tomogram that is prepared, with membranes beside it and without."""
LABEL_BYTES, BINNED_BYTES = 3, 2
"""For each voxel of all tomograms: labels with rejected ROIs, and a channel of what is binned."""
CHANNEL_BYTES = 4
"""For each voxel of a patch or block in each channel of the network."""


def training_memory_bytes(project: Project) -> int:
    """Bytes that a training of a project takes at most, also where a model draws its membranes first.

    Raises InputError for tomograms and models that cannot be read.
    """
    plans, settings = taught_plans(project), project.settings
    learning = learning_memory_bytes(plans, settings.train, settings.learn_membranes)
    learning += CUDA_BYTES if settings.cluster.training_gpus else 0
    if project.membrane_model is None or not settings.learn_membranes:
        return learning
    from tomorois.prediction.files import read_predictor

    drawer = read_predictor(project.membrane_model)
    drawing = [map_memory_bytes(plan, settings, drawer) for plan in plans]
    return max(learning, LEARNING_BYTES + max(drawing, default=0))


def learning_memory_bytes(plans: Sequence[TomogramPlan], train: TrainSettings, sees_membranes: bool) -> int:
    """Bytes that a training on tomograms takes at most; all of them are held, binned, till its end.

    ``train`` are its settings; with ``sees_membranes`` their channels count, too.
    """
    shapes = [inspect_volume(plan.tomogram).shape for plan in plans]
    voxels = [math.prod(shape) for shape in shapes]
    inputs = 1 + (CHANNELS if sees_membranes else 0)
    a_voxel = LABEL_BYTES + BINNED_BYTES * (inputs + 2) / train.bin_factor**3  # with target and weight
    prepared = PREPARED_BYTES[sees_membranes] * max(voxels, default=0)
    return round(LEARNING_BYTES + a_voxel * sum(voxels) + prepared + _network_bytes(shapes, train, inputs))


def _network_bytes(shapes: Sequence[tuple[int, ...]], train: TrainSettings, inputs: int) -> int:
    """Of the patches of a step with their gradients, and of the largest block that is validated."""
    edge = train.validation.block_voxels + 2 * train.validation.block_halo_voxels
    blocks = [math.prod(min(edge, -(-n // train.bin_factor)) for n in shape) for shape in shapes]
    patches = 2 * train.batch * train.patch_voxels**3
    return CHANNEL_BYTES * (inputs + train.network.layers) * (max(blocks, default=0) + patches)


def step_memory_bytes(step: str, plan: TomogramPlan, settings: ProjectSettings, maker: StepMaker) -> int:
    """Bytes that a step of a tomogram takes at most, in tiles of [predict] where ``maker``'s models predict.

    Raises InputError for a tomogram that cannot be read.
    """
    if step != "confidence" or maker.finder is None:
        voxels = math.prod(inspect_volume(plan.tomogram).shape)
        return LIBRARIES_BYTES[step] + BYTES_A_VOXEL.get(step, 0) * voxels
    drawers = [maker.drawer] if plan.drawn is not None else []
    return max(map_memory_bytes(plan, settings, model) for model in (maker.finder, *drawers))


def map_memory_bytes(plan: TomogramPlan, settings: ProjectSettings, model: Predictor) -> int:
    """Bytes that the prediction of a tomogram by a ``model`` takes at most, in tiles of [predict].

    Raises InputError for a ``plan`` whose tomogram cannot be read.
    """
    from tomorois.prediction.predict import prediction_memory_bytes

    header = inspect_volume(plan.tomogram)
    z, y, x = header.shape
    edge_nm = plan.voxel_size_nm or sum(header.voxel_size_nm) / 3
    ratio = max(1.0, model.record.voxel_size_nm / edge_nm)
    whole = prediction_memory_bytes(
        model.network, (z, y, x), ratio, orientations=settings.predict.orientations
    )
    return min(whole, int(settings.predict.max_memory_gib * GIB))
