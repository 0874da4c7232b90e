"""How well a training of the learning study does on phantoms that it has not seen, and where it errs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from learning_limits import error_shares
from learning_trainings import ORIENTATIONS, Case, Learned, Unseen, phantoms, unseen_count
from numpy.typing import NDArray

from tomocore.roiset import union_mask
from tomocore.volumes.volume import Volume
from tomorois.evaluation.evaluate import Evaluation, ScoredTomogram, evaluate
from tomorois.instances.find import find_instances
from tomorois.instances.membrane_pairs import membrane_instances
from tomorois.instances.settings import InstanceSettings
from tomorois.phantoms.phantom import PhantomSettings, make_phantom

ERROR_PHANTOMS = 4
SPLIT: dict[str, Literal["contacts", "none"]] = {"contacts": "contacts", "invaginations": "none"}
"""How fused places are told apart: a watershed cuts at necks, and a bud has one by nature."""


def scored(case: Case, learned: Learned, taught: Sequence[Unseen], folder: Path) -> dict[str, float]:
    """Scores on the unseen phantoms; Dice of the bare map there, mirrored copies averaged, and taught."""
    unseen = phantoms(folder, case.kind, case.noise, 2, unseen_count(case))
    instances = InstanceSettings(threshold=learned.threshold, split=SPLIT[case.kind])
    results, confidences = [], []
    for item in unseen:
        confidence = learned.predict(item, ORIENTATIONS)
        confidences.append(confidence)
        membranes = membrane_instances(item.membranes) if case.kind == "contacts" else None
        found = find_instances(confidence, instances, membranes)
        results.append(ScoredTomogram(item.sample.name, found, item.truth, ignored=ignored(item)))
    at = learned.threshold
    mirrored = [dice_of_map(map_, item, at) for map_, item in zip(confidences, unseen, strict=True)]
    once = [dice_of_map(learned.predict(item, 1), item, at) for item in unseen]
    seen = [dice_of_map(learned.predict(item, 1), item, at) for item in taught]
    row = numbers_of(evaluate(results))
    return row | {
        "dice_map": pooled(once),
        "dice_map_mirrored": pooled(mirrored),
        "dice_training": pooled(seen),
    }


def ignored(item: Unseen) -> Volume:
    """Places that are not judged: contacts too small to count."""
    return item.membranes.with_data(np.asarray(item.sample.labels) == 255)


def dice_of_map(confidence: Volume, item: Unseen, threshold: float) -> NDArray[np.float64]:
    """Shared, called and true voxels of the map at a threshold, no ROIs formed."""
    judged = np.asarray(item.sample.labels) != 255
    called, true = (confidence.data >= threshold) & judged, union_mask(item.truth).data != 0
    return np.array(
        [np.count_nonzero(called & true), np.count_nonzero(called), np.count_nonzero(true & judged)]
    )


def pooled(counts: Sequence[NDArray[np.float64]]) -> float:
    """Dice over all tomograms together."""
    shared, called, true = np.sum(counts, axis=0)
    return float(2 * shared / (called + true))


def numbers_of(evaluation: Evaluation) -> dict[str, float]:
    """The columns of the CSV that come from an evaluation."""
    scores, counts = evaluation.scores, evaluation.counts
    row = {name: counts[name] for name in ("truth", "tp", "fp", "fn")}
    row |= {"dice": scores["dice_pooled"]["value"], "dice_low": scores["dice_pooled"]["low"]}
    row |= {"dice_high": scores["dice_pooled"]["high"], "roi_dice": evaluation.per_roi["dice_mean"]}
    for name, tilts in zip(("xy", "oblique", "upright", "round"), evaluation.orientation, strict=True):
        row |= {f"{name}_found": tilts["found"], f"{name}_truth": tilts["truth"]}
    return row


def errors_of(case: Case, learned: Learned, folder: Path) -> list[dict[str, Any]]:
    """Voxels of each kind of error, as shares of the true ones, in the first unseen phantoms."""
    totals: dict[str, float] = {}
    for index, item in enumerate(
        phantoms(folder, case.kind, case.noise, 2, unseen_count(case))[:ERROR_PHANTOMS]
    ):
        phantom = make_phantom(case.kind, 2, PhantomSettings(), index)  # type: ignore[arg-type]
        found = error_shares(learned.predict(item, 1), learned.threshold, phantom)
        totals = {name: totals.get(name, 0.0) + count for name, count in found.items()}
    true = totals.pop("true")
    name = f"{case.name.split(',')[0]}, {case.budget_seconds:g} CPU-s"
    return [{"training": name, "error": error, "share": count / true} for error, count in totals.items()]
