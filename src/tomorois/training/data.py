"""What a training is given: tomograms with their annotation and the regions that a user rejected."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cc3d
import numpy as np
from numpy.typing import NDArray

from tomocore.contract import InputError
from tomocore.files_of_tomograms import matched, volume_stem
from tomocore.provenance import file_hash
from tomocore.volumes.formats import read_volume
from tomocore.volumes.volume import Volume
from tomorois.annotation.settings import AnnotationSettings
from tomorois.annotation.targets import blank_annotation, roi_components, training_targets
from tomorois.network.binning import bin_volume
from tomorois.network.intensity import intensity_skewness, looks_inverted, prepare_tomogram
from tomorois.network.membrane_input import membrane_channels
from tomorois.network.settings import IntensitySettings, MembraneSettings
from tomorois.training.patches import TrainingVolume, group_voxels
from tomorois.training.penalty import read_rejected, with_rejected

log = logging.getLogger(__name__)

SAME_VOXEL_SIZE = 0.005  # relative; above it a warning, above DIFFERENT_VOXEL_SIZE a refusal
DIFFERENT_VOXEL_SIZE = 0.05
HASH_LETTERS = 12
WIDEST_SPECK = 5  # voxels; what is painted in one slice alone and no wider is no outline of an ROI


@dataclass(frozen=True)
class TrainingTomogram:
    """A tomogram and what is known of it.

    ``labels`` (z, y, x) has the tomogram's shape, ``rejected`` marks voxels of ROIs that a user refused,
    ``membranes``, a mask, labels or a map from 0 to 1 on the same grid, are further input of the network.
    ``files`` go into the model's training record.
    """

    name: str
    tomogram: Volume
    labels: NDArray[Any]
    rejected: NDArray[np.bool_] | None = None
    membranes: Volume | None = None
    files: Mapping[str, str] = field(default_factory=dict)


def read_training_tomograms(
    tomograms: Sequence[Path],
    labels: Sequence[Path],
    penalties: Sequence[Path] = (),
    voxel_size_nm: float | None = None,
    membranes: Sequence[Path] = (),
    ignore_value: int = AnnotationSettings().ignore_value,
    resample: bool = False,
) -> list[TrainingTomogram]:
    """Tomograms (read lazily where the format allows), each with its label volume and its rejected ROIs.

    Files of ``labels`` are matched to ``tomograms`` by name (``tomo_01.mrc`` with ``tomo_01__labels.mrc``)
    or, with a warning, by order. ``penalties`` are label volumes or ``.npz`` ROI files, matched alike; of a
    curated ROI file (some ROIs have status "kept" or "rejected") only what was rejected counts. A tomogram
    with a penalty and no labels teaches by that alone: its other voxels are ``ignore_value``. ``membranes``
    become further input channels, and then every tomogram needs them. ``voxel_size_nm`` overrules the
    tomograms' headers (None believes them); all that belongs to a tomogram takes its voxel size. With
    ``resample`` volumes of unequal voxel edges are brought to one. Raises InputError where files cannot be
    matched.
    """
    label_of = matched(tomograms, labels, "label")
    penalty_of = matched(tomograms, penalties, "penalty")
    missing = [path.name for path in tomograms if path not in label_of and path not in penalty_of]
    if missing:
        raise InputError(
            f"no labels for {', '.join(missing)}; give each tomogram a label volume, or its rejected ROIs "
            "with --penalty"
        )
    membranes_of = matched(tomograms, membranes, "membrane")
    bare = [path.name for path in tomograms if membranes and path not in membranes_of]
    if bare:
        raise InputError(f"no membranes for {', '.join(bare)}; give them for each tomogram, or for none")
    samples = []
    for path in tomograms:
        tomogram = read_volume(path, voxel_size_nm, lazy=True, resample=resample)
        edge_nm, side = tomogram.voxel_size_nm, membranes_of.get(path)
        labelled = (
            read_volume(label_of[path], edge_nm, resample=resample)
            if path in label_of
            else blank_annotation(tomogram, ignore_value)
        )
        rejected = read_rejected(penalty_of[path], tomogram) if path in penalty_of else None
        beside = read_volume(side, edge_nm, lazy=True, resample=resample) if side else None
        used = {
            "tomogram": path,
            "labels": label_of.get(path),
            "penalty": penalty_of.get(path),
            "membranes": side,
        }
        files = {what: f"{p.name} {file_hash(p)[:HASH_LETTERS]}" for what, p in used.items() if p}
        samples.append(TrainingTomogram(volume_stem(path), tomogram, labelled.data, rejected, beside, files))
    return samples


def training_volume(
    sample: TrainingTomogram,
    bin_factor: int,
    penalty_weight: float,
    annotation: AnnotationSettings,
    intensity: IntensitySettings,
    membranes: MembraneSettings = MembraneSettings(),
) -> TrainingVolume:
    """The sample as the network sees it: image, target and weights, all on the binned grid.

    ``bin_factor`` is how many voxels along an edge become one. ``annotation`` tells ROI, background and
    ignored values in the labels apart; voxels of rejected ROIs weigh ``penalty_weight`` where other
    background weighs 1. ``intensity`` normalises grey values, ``membranes`` makes channels of the sample's
    membranes and counts only where it has some. Raises InputError for other shapes, NaN, or unusable labels.
    """
    _require_same_shape(sample)
    labels = np.asarray(sample.labels)
    targets = training_targets(labels, annotation, f"labels of {sample.name}")
    penalised = np.zeros(labels.shape, dtype=bool)
    if sample.rejected is not None:
        targets, penalised = with_rejected(targets, sample.rejected)
    components = roi_components(labels, targets.roi)
    _warn_of_lone_slices(components, targets.counted, sample.name)
    counted = bin_volume(targets.counted, bin_factor)
    roi = bin_volume(targets.roi & targets.counted, bin_factor)
    weight = np.where(counted >= 0.5, 1.0, 0.0)
    weight[bin_volume(penalised, bin_factor) >= 0.5] = penalty_weight
    image = [prepare_tomogram(sample.tomogram.data, bin_factor, intensity, sample.name)]
    if sample.membranes is not None:
        image += [*membrane_channels(sample.membranes, bin_factor, membranes, f"membranes of {sample.name}")]
    return TrainingVolume(
        name=sample.name,
        image=np.stack(image).astype(np.float16),
        target=(roi / np.maximum(counted, 1e-6)).astype(np.float16),
        weight=weight.astype(np.float16),
        rois=group_voxels(components, bin_factor),
        penalties=group_voxels(roi_components(penalised.astype(np.uint8), penalised), bin_factor),
    )


def _warn_of_lone_slices(components: NDArray[Any], counted: NDArray[np.bool_], name: str) -> None:
    """A warning where most of what is painted lies in slices of their own, and background is beside them."""
    found = cc3d.statistics(components)
    flat, whole = [0, 0, 0], 0
    for box, size in zip(found["bounding_boxes"][1:], found["voxel_counts"][1:], strict=True):
        whole += int(size)
        edges = [side.stop - side.start for side in box]
        for axis in range(3):
            wide = min(edge for k, edge in enumerate(edges) if k != axis) >= WIDEST_SPECK
            if edges[axis] == 1 and wide and counted[_beside(box, axis)].mean() > 0.5:
                flat[axis] += int(size)
    axis = int(np.argmax(flat))
    if flat[axis] > 0.5 * whole:
        log.warning(
            "%s: most ROIs are painted in single slices across %s, and the slices beside them count as "
            "background, which teaches that there is none; paint ROIs through all their slices, or give what "
            "was not looked at the ignore value",
            name,
            "zyx"[axis],
        )


def _beside(box: tuple[slice, ...], axis: int) -> tuple[slice, ...]:
    """A box of one slice with the slices before and after it, as far as there are any."""
    wider = slice(max(box[axis].start - 1, 0), box[axis].stop + 1)
    return (*box[:axis], wider, *box[axis + 1 :])


def _require_same_shape(sample: TrainingTomogram) -> None:
    arrays = {"labels": sample.labels, "rejected regions": sample.rejected}
    if sample.membranes is not None:
        arrays["membranes"] = sample.membranes.data
    for what, array in arrays.items():
        if array is not None and array.shape != sample.tomogram.shape:
            raise InputError(
                f"{sample.name}: the tomogram has shape {sample.tomogram.shape} (z, y, x), its {what} "
                f"{array.shape}; give the ones made on this tomogram, at the same binning"
            )


def common_voxel_size_nm(samples: Sequence[TrainingTomogram]) -> float:
    """The voxel size of all tomograms; a warning where they differ a little, InputError where much."""
    sizes = np.array([sample.tomogram.voxel_size_nm for sample in samples])
    typical = float(np.median(sizes))
    worst = samples[int(np.argmax(np.abs(sizes - typical)))]
    difference = abs(worst.tomogram.voxel_size_nm / typical - 1)
    told = f"{worst.name}: voxel size {worst.tomogram.voxel_size_nm:g} nm, the others have {typical:g} nm"
    if difference > DIFFERENT_VOXEL_SIZE:
        raise InputError(f"{told}; bring all to one voxel size, or say which is right with --voxel-size")
    if difference > SAME_VOXEL_SIZE:
        log.warning("%s; taken as the same", told)
    return typical


def require_rois(volumes: Sequence[TrainingVolume], samples: Sequence[TrainingTomogram]) -> None:
    """InputError naming the files where no label is an ROI, or none is background; a note for single ones."""
    without = [volume.name for volume in volumes if len(volume.rois) == 0]
    files = ", ".join(sample.files.get("labels", sample.name).split()[0] for sample in samples)
    if len(without) == len(volumes):
        raise InputError(
            f"no ROI in any of the labels ({files}): every voxel is background or ignored; "
            "paint ROIs as 1, 2, … and check annotation.ignore_value"
        )
    if without:
        log.warning("no ROI in %s: used as examples of background", ", ".join(without))
    for volume in volumes:
        if not volume.weight.any():
            raise InputError(
                f"{volume.name}: every voxel is to be ignored; paint background too, or leave it out"
            )
    if not any(((volume.weight > 0) & (volume.target < 0.5)).any() for volume in volumes):
        raise InputError(
            f"no background in any of the labels ({files}): every voxel that counts is ROI; paint "
            "some background (annotation.background_value where 0 is to be ignored)"
        )


def warn_of_polarity(volumes: Sequence[TrainingVolume], expected_skewness: float | None = None) -> None:
    """A warning that names tomograms whose contrast looks inverted beside the others'.

    ``expected_skewness`` is that of a model's training tomograms; without it the tomograms' median holds,
    or of two the darker's.
    """
    skewness = {v.name: intensity_skewness(v.image[0].astype(np.float32)) for v in volumes}
    typical = np.median if len(skewness) > 2 else np.min
    expected = float(typical(list(skewness.values()))) if expected_skewness is None else expected_skewness
    inverted = [name for name, value in skewness.items() if looks_inverted(value, expected)]
    if inverted:
        log.warning(
            "%s: contrast looks inverted (skewness %s, %s %+.2f); set intensity.polarity, or invert the file",
            ", ".join(inverted),
            ", ".join(f"{skewness[name]:+.2f}" for name in inverted),
            "the model's tomograms had" if expected_skewness is not None else "the others about",
            expected,
        )


def training_marks(training: Mapping[str, Any]) -> list[str]:
    """Names and short file hashes of the tomograms and labels that a model's training record tells of.

    Those held out are among them: they chose the weights and the threshold.
    """
    told = training.get("tomograms", [])
    hashes = [item[what].split()[-1] for item in told for what in ("tomogram", "labels") if what in item]
    return [item["name"] for item in told] + hashes


def marks_of_model(path: Path) -> list[str]:
    """The `training_marks` of a model file. Raises InputError where it is none."""
    from tomorois.network.checkpoint import load_model  # PyTorch, which nothing else here needs

    return training_marks(load_model(path)[1].training)


def content_hash(volumes: Sequence[TrainingVolume]) -> str:
    """A short hash of all that the network is taught by, to tell whether two trainings have the same data."""
    digest = hashlib.blake2b(digest_size=HASH_LETTERS // 2)
    for volume in volumes:
        for array in (volume.image, volume.target, volume.weight):
            digest.update(str(array.shape).encode())
            digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
