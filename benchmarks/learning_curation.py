"""Curation within the learning study: false ROIs in further phantoms are rejected, and the network refined.

The user's part is eight clicks. Nothing else of the further phantoms is used: all their voxels but the
rejected ones are marked to be ignored.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from learning_scores import SPLIT
from learning_trainings import (
    ORIENTATIONS,
    Case,
    Learned,
    MembranesOf,
    Unseen,
    learn,
    learn_msd,
    membranes_beside,
)

from tomocore.roiset import union_mask
from tomorois.evaluation.matching import compare
from tomorois.instances.find import find_instances
from tomorois.instances.settings import InstanceSettings
from tomorois.phantoms.phantom import IGNORE, PhantomSettings, make_phantom
from tomorois.training.data import TrainingTomogram
from tomorois.training.settings import TrainSettings, with_membranes

SEED = 3
WITH_LOOK_ALIKES = (10, 12, 13, 14, 15, 20, 26, 27)
"""The first eight phantoms of that seed, from the tenth on, with a vesicle or shells within a vesicle."""


def learn_from_rejections(case: Case, seed: int, folder: Path) -> tuple[Learned, list[Unseen]]:
    """The network of the case that this one refines, taught what it had called falsely; also its phantoms."""
    assert case.refines is not None
    first, taught = learn(case.refines, seed, folder)
    beside, _ = membranes_beside(case.refines, taught, seed, folder)
    samples = [replace(item.sample, membranes=beside(item)) for item in taught]
    samples += rejections(first, case.kind, beside)
    settings = with_membranes(TrainSettings(**{**case.settings, "seed": seed}))
    path = folder / "trained" / case.stem(seed)
    refined = learn_msd(samples, settings, case.seconds, beside, path, init=first.model)
    used = {"steps": first.steps + refined.steps, "seconds": first.seconds + refined.seconds}
    return replace(refined, **used), taught


def rejections(learned: Learned, kind: str, beside: MembranesOf) -> Iterator[TrainingTomogram]:
    """Further phantoms with the false ROIs marked as rejected, and every other voxel to be ignored."""
    cut = InstanceSettings(threshold=learned.threshold, split=SPLIT[kind])
    for index in WITH_LOOK_ALIKES:
        phantom = make_phantom(kind, SEED, PhantomSettings(), index)  # type: ignore[arg-type]
        labels = np.full(phantom.labels.shape, IGNORE, np.uint16)
        sample = TrainingTomogram(f"{kind}_s{SEED}_{index:03d}", phantom.tomogram, labels)
        item = Unseen(sample, phantom.rois, phantom.membranes)
        found = find_instances(learned.predict(item, ORIENTATIONS), cut)
        uncounted = phantom.labels.with_data(np.asarray(phantom.labels.data) == IGNORE)
        wrong = compare(found, phantom.rois, ignored=uncounted).false
        if len(wrong):
            rejected = union_mask(found.at(wrong)).data > 0
            labels[rejected] = 0
            yield replace(sample, rejected=rejected, membranes=beside(item))
