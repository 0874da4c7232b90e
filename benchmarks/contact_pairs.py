"""How many contacts that touch each other are found one by one: membrane pairs against watershed.

    python benchmarks/contact_pairs.py [--scenes N]

Vesicles packed so that most of their contacts run into others, with every contact known. The confidence map
is the union of the true contacts, exact or with its border off as a good network leaves it, so that
splitting alone is judged. Found: paired one to one with a true contact at an IoU of at least 0.5.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import edt
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.special import expit

from tomocore.roiset import RoiSet, rois_from_masks
from tomocore.volumes.volume import Volume
from tomorois.evaluation.matching import compare
from tomorois.evaluation.scores import SUMS, rates, sums_of
from tomorois.evaluation.settings import MatchSettings
from tomorois.instances.find import find_instances
from tomorois.instances.settings import InstanceSettings

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from vesicle_scenes import VesicleScene, random_cluster

PAIRS, WATERSHED = 0.95, 0.75  # share found: at least, where watershed finds at most
FUSED_GAPS_NM = (-3.5, 1.0)
BORDER_NM = 1.5  # error of a good network's border: a Dice of 0.92 by benchmarks/learning_limits.py


Confidence = Callable[[NDArray[np.bool_], float, int], NDArray[np.float32]]
"""Confidence of the true places, voxel edge in nm and a seed."""


def exact(places: NDArray[np.bool_], voxel_size_nm: float, seed: int) -> NDArray[np.float32]:
    """The confidence of a network that errs nowhere."""
    return places.astype(np.float32)


def border_off(places: NDArray[np.bool_], voxel_size_nm: float, seed: int) -> NDArray[np.float32]:
    """A confidence whose border is off by BORDER_NM (SD, smooth) and soft over about a nanometre."""
    depth_nm = (edt.edt(places) - edt.edt(~places)) * voxel_size_nm
    shift = gaussian_filter(
        np.random.default_rng(seed).normal(size=places.shape), 3 * BORDER_NM / voxel_size_nm
    )
    return expit(depth_nm + BORDER_NM * shift / shift.std()).astype(np.float32)


def truth_of(scene: VesicleScene, min_volume_nm3: float) -> RoiSet:
    """The scene's contacts that are large enough to be ROIs."""
    masks = [
        mask
        for mask in scene.contacts.values()
        if np.count_nonzero(mask) * scene.voxel_size_nm**3 >= min_volume_nm3
    ]
    return rois_from_masks([(0, 0, 0)] * len(masks), masks, scene.labels.shape, scene.voxel_size_nm)


def sums_over(
    scenes: Sequence[VesicleScene], split: str, confidence: Confidence, numbered: bool
) -> NDArray[np.float64]:
    """What `tomorois.evaluation.scores.rates` needs, of the scenes' contacts split one way.

    Membranes are ``numbered``, or a bare mask in which those that touch are one.
    """
    settings = InstanceSettings(split=split)  # type: ignore[arg-type]
    total = np.zeros(len(SUMS))
    for seed, scene in enumerate(scenes):
        edge = scene.voxel_size_nm
        membranes = scene.labels if numbered else (scene.labels > 0).astype(np.int8)
        places = Volume(confidence(scene.places, edge, seed), edge)
        found = find_instances(places, settings, Volume(membranes, edge))
        truth = truth_of(scene, settings.min_volume_nm3)
        total += sums_of(compare(found, truth, MatchSettings(min_iou=0.5)))
    return total


def row(name: str, split: str, sums: NDArray[np.float64], mark: str = "") -> str:
    """One line of the table."""
    found, false, missed = (int(value) for value in sums[:3])
    quality = float(rates(sums)["panoptic_quality"])
    share = f"{found / (found + missed):.0%}"
    return f"| {name} | {split} | {found} of {found + missed} | {share} | {false} | {quality:.2f} | {mark} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scenes", type=int, default=5)
    seeds = range(parser.parse_args().scenes)
    apart = [random_cluster(seed) for seed in seeds]
    fused = [random_cluster(seed, 5, gaps_nm=FUSED_GAPS_NM) for seed in seeds]
    totals = {"contacts": np.zeros(len(SUMS)), "watershed": np.zeros(len(SUMS))}
    print("| scenes | split | contacts found | share | false | panoptic quality | |\n" + "|---" * 7 + "|")
    for name, scenes, confidence, numbered in (
        ("touching contacts, exact map", apart, exact, True),
        (f"touching contacts, border off by {BORDER_NM} nm", apart, border_off, True),
        ("membranes fused into one mask, exact map", fused, exact, False),
    ):
        for split in totals:
            sums = sums_over(scenes, split, confidence, numbered)
            totals[split] += sums
            print(row(name, split, sums), flush=True)
    for split, sums in totals.items():
        share = sums[0] / (sums[0] + sums[2])
        met = share >= PAIRS if split == "contacts" else share <= WATERSHED
        print(row("all", split, sums, "" if met else "MISS"))


if __name__ == "__main__":
    main()
