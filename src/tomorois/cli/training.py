"""Commands of `tomorois` about learning: phantoms to learn from, training, what to annotate next."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import pandas as pd
from cyclopts import Parameter

from tomocore.contract import InputError
from tomocore.files import require_writable_folder, written_beside
from tomocore.page import shown
from tomocore.terminal.console import out, progress_bar
from tomocore.terminal.options import (
    Jobs,
    Output,
    Overwrite,
    SettingsFile,
    VoxelSize,
    cores,
    next_hint,
    use_threads,
)
from tomocore.volumes.formats import read_volume, volume_files
from tomorois.cli.options import require_torch, section, several
from tomorois.pairing import labels_of, membrane_files, roi_files, tomogram_stem

if TYPE_CHECKING:
    from tomorois.guidance.learning_curve import CurvePoint
    from tomorois.training.data import TrainingTomogram
    from tomorois.training.loop import LiveTraining
    from tomorois.training.train import TrainingResult

log = logging.getLogger(__name__)

SHOWN_PLACES = 5
CHANGES: tuple[Literal["better", "the same", "worse"], ...] = ("better", "the same", "worse")

AnnotatedTomograms = Annotated[list[Path], several("tomograms, or folders of them")]
Membranes = Annotated[
    list[Path] | None,
    several("membranes, one a tomogram, as further input: masks, labels or maps of `predict`, or a folder"),
]
Labels = Annotated[list[Path], several("label volumes: 0 background, 1… ROI, and the ignore value")]


def phantom(
    *,
    output: Output,
    kind: Annotated[
        Literal["contacts", "invaginations"] | None, Parameter(help="what the tomograms show")
    ] = None,
    from_labels: Annotated[
        Path | None, Parameter(help="a segmentation whose membranes the tomogram shows, instead of --kind")
    ] = None,
    pairs: Annotated[
        list[str] | None, several("with --from-labels: labels whose contacts are the ROIs, as 1:3")
    ] = None,
    contact_limit: Annotated[
        float | None, Parameter(help="with --from-labels: nm up to which membranes are in contact")
    ] = None,
    count: Annotated[int, Parameter(help="how many tomograms")] = 1,
    seed: Annotated[int, Parameter(help="number that everything random follows from")] = 0,
    voxel_size: VoxelSize = None,
    settings: SettingsFile = None,
    jobs: Jobs = None,
    overwrite: Overwrite = False,
) -> None:
    """Make synthetic tomograms with exact truth: membranes, training labels, ROIs, gaps and radii.

    Of drawn scenes (--kind), or of a real segmentation's membranes (--from-labels, --pairs).
    """
    if (kind is None) == (from_labels is None):
        raise InputError("give either --kind contacts, --kind invaginations or --from-labels LABELS")
    if count < 1:
        raise InputError(f"--count {count}: at least one tomogram is needed")
    require_writable_folder(output)
    there = set() if overwrite else set(output.glob("*.mrc"))
    if kind is not None:
        paths = _drawn(output, kind, count, seed, settings, overwrite, cores(jobs))
    else:
        assert from_labels is not None
        paths = _from_labels(
            output,
            from_labels,
            pairs or [],
            contact_limit,
            range(seed, seed + count),
            voxel_size,
            settings,
            overwrite,
        )
    kept = [path for path in paths if path in there]
    for path in kept:
        out.print(f"skipped {path}: it exists; pass --overwrite to replace it", markup=False)
    out.print(f"{len(paths) - len(kept)} tomograms made with their truth in {output}", markup=False)
    next_hint(f"tomorois train --tomograms {output} --labels {output} -o model.safetensors")


def _drawn(
    output: Path,
    kind: Literal["contacts", "invaginations"],
    count: int,
    seed: int,
    settings: Path | None,
    overwrite: bool,
    jobs: int,
) -> list[Path]:
    from tomorois.phantoms.phantom import PhantomSettings, write_phantoms

    chosen = section(PhantomSettings, "phantom", settings)
    with progress_bar("phantoms") as progress:
        return write_phantoms(output, kind, count, seed, chosen, overwrite, jobs, progress)


def _from_labels(
    output: Path,
    labels: Path,
    pairs: list[str],
    contact_limit: float | None,
    seeds: range,
    voxel_size: float | None,
    settings: Path | None,
    overwrite: bool,
) -> list[Path]:
    """One tomogram a seed, all of the same membranes: other optics, tethers and noise."""
    from tomorois.phantoms.from_labels import LabelPhantomSettings, label_pairs, write_phantom_from_labels

    chosen = section(LabelPhantomSettings, "phantom_from_labels", settings, contact_limit_nm=contact_limit)
    wanted = label_pairs(pairs)
    volume, stem = read_volume(labels, voxel_size), tomogram_stem(labels)
    with progress_bar("phantoms") as progress:
        return [
            write_phantom_from_labels(
                output, f"{stem}_s{seed}", volume, wanted, seed, chosen, overwrite, progress
            )
            for seed in seeds
        ]


def train(
    *,
    tomograms: AnnotatedTomograms,
    labels: Labels,
    output: Output,
    validation: Annotated[
        list[Path] | None, several("tomograms held out, whose labels are among --labels")
    ] = None,
    membranes: Membranes = None,
    penalty: Annotated[
        list[Path] | None,
        several("rejected ROIs (.npz or labels), one a tomogram, or a folder; such tomograms need no labels"),
    ] = None,
    init: Annotated[Path | None, Parameter(help="model to refine on these data")] = None,
    resume: Annotated[
        bool, Parameter(negative="", help="go on from the checkpoint beside the model")
    ] = False,
    minutes: Annotated[float | None, Parameter(help="minutes of training")] = None,
    voxel_size: VoxelSize = None,
    settings: SettingsFile = None,
    jobs: Jobs = None,
    overwrite: Overwrite = False,
) -> None:
    """Train a network from scratch, or refine one, on annotated tomograms."""
    require_torch()
    from tomorois.network.checkpoint import checkpoint_beside
    from tomorois.training.data import read_training_tomograms
    from tomorois.training.loop import TrainSettings, with_membranes
    from tomorois.training.train import train as train_model

    if output.exists() and not overwrite:
        if not resume:
            raise InputError(
                f"{output}: exists already; pass --overwrite to train anew, or another name with -o"
            )
        if not checkpoint_beside(output).exists():
            out.print(f"skipped: {output} has been trained to its end", markup=False)
            return
    require_writable_folder(output.parent)
    chosen = section(TrainSettings, "train", settings)
    use_threads(cores(jobs))
    taught = volume_files(tomograms)
    watched = volume_files(validation or [])
    taught = [path for path in taught if path not in watched]
    named = volume_files(labels, "labels")
    sides = membrane_files(membranes or [])
    refused = _penalties_of(taught, penalty or [])
    if sides:
        chosen = with_membranes(chosen)

    def samples_of(paths: list[Path], rejected: list[Path]) -> list[TrainingTomogram]:
        own = labels_of(paths, named), rejected, voxel_size, labels_of(paths, sides)
        return read_training_tomograms(paths, *own, chosen.annotation.ignore_value)

    samples = samples_of(taught, refused)
    held_out = samples_of(watched, []) if watched else []
    with progress_bar("training") as progress:
        result = train_model(
            samples,
            held_out,
            chosen,
            output,
            init=init,
            resume=resume,
            minutes=minutes,
            progress=progress,
            observer=_LiveLine(),
        )
    _tell_result(result)
    beside = " --membranes MEMBRANES" if sides else ""
    next_hint(f"tomorois predict {result.model_path} TOMOGRAMS{beside} -o predictions")


def _penalties_of(tomograms: list[Path], given: list[Path]) -> list[Path]:
    """The files of rejected ROIs that belong to the tomograms; a warning names the others."""
    files = roi_files(given, "__rois.npz", "rejected")
    own = labels_of(tomograms, files)
    if others := [path.name for path in files if path not in own]:
        log.warning("not used, since no tomogram trained on is theirs: %s", ", ".join(others))
    return own


def _tell_result(result: TrainingResult) -> None:
    """Scores tomogram by tomogram, and of a refined model what became better or worse by it."""
    for score in result.scores:
        which = "held out" if score.held_out else "trained on"
        line = f"{score.name} ({which}): Dice {shown(score.dice)}"
        if score.dice_before is not None:
            line += f", {shown(score.dice_before)} before: {score.change}"
        out.print(line, markup=False)
    changes = [score.change for score in result.scores]
    if "new" not in changes:
        told = ", ".join(f"{changes.count(kind)} {kind}" for kind in CHANGES)
        out.print(f"of {len(changes)} tomograms {told}", markup=False)
    on = "tomograms held out" if result.validated else "training tomograms (optimistic)"
    out.print(
        f"wrote {result.model_path}: Dice {shown(result.dice)} on {on}, threshold {shown(result.threshold)}, "
        f"{result.steps} steps in {result.seconds:.0f} s",
        markup=False,
    )
    _draw_training(result)


def _draw_training(result: TrainingResult) -> None:
    """The curves of a training as <stem>.train.png beside the model."""
    from tomorois.evaluation.curves import training_figure

    picture = result.log_path.with_suffix(".png")
    with written_beside(picture) as beside:
        training_figure(pd.read_csv(result.log_path)).savefig(beside, dpi=110, format="png")
    out.print(f"curves: {picture}", markup=False)


def learning_curve(
    *,
    tomograms: AnnotatedTomograms,
    labels: Labels,
    output: Output,
    unseen: Annotated[
        list[Path] | None,
        several("tomograms to score on, whose labels are among --labels; a quarter where not given"),
    ] = None,
    truth: Annotated[
        list[Path] | None, several("true ROIs (.npz) of --unseen, where ROIs overlap or touch")
    ] = None,
    membranes: Membranes = None,
    rois: Annotated[
        list[int] | None, several("numbers of ROIs to train on; a quarter, half and all where not given")
    ] = None,
    repeats: Annotated[int | None, Parameter(help="trainings for each number")] = None,
    minutes: Annotated[float | None, Parameter(help="minutes of each training")] = None,
    voxel_size: VoxelSize = None,
    settings: SettingsFile = None,
    jobs: Jobs = None,
) -> None:
    """Is more annotation worth it: train on ever more of the ROIs, score on tomograms not trained on.

    Writes learning_curve.csv, .png and .txt (the answer in words); what is there is not trained again.
    """
    require_torch()
    from tomorois.guidance.learning_curve import (
        LearningCurveSettings,
        split_unseen,
        with_truth,
    )
    from tomorois.guidance.learning_curve import learning_curve as points_of
    from tomorois.instances.find import InstanceSettings
    from tomorois.training.data import read_training_tomograms
    from tomorois.training.loop import TrainSettings, with_membranes

    require_writable_folder(output)
    chosen = section(TrainSettings, "train", settings)
    if minutes is not None:
        chosen = chosen.model_copy(update={"minutes": minutes, "steps": None})
    use_threads(cores(jobs))
    ahead = volume_files(unseen or [])
    files = [path for path in volume_files(tomograms) if path not in ahead]
    named, sides = volume_files(labels, "labels"), membrane_files(membranes or [])
    if sides:
        chosen = with_membranes(chosen)
    samples, held = (
        read_training_tomograms(part, labels_of(part, named), (), voxel_size, labels_of(part, sides))
        for part in (files, ahead)
    )
    if not held:
        samples, held = split_unseen(samples, chosen.annotation)
        out.print(
            f"scored on {', '.join(sample.name for sample in held)}, trained on the others", markup=False
        )
    with progress_bar("learning curve") as progress:
        points = points_of(
            samples,
            with_truth(held, truth or [], chosen.annotation),
            chosen,
            output,
            section(LearningCurveSettings, "learning_curve", settings, rois=rois, repeats=repeats),
            section(InstanceSettings, "instances", settings),
            progress,
        )
    _tell_curve(points, output)


def _tell_curve(points: list[CurvePoint], output: Path) -> None:
    """Write the curve's picture and its answer in words, and print its points."""
    from tomorois.guidance.learning_curve import learning_curve_figure, verdict

    answer = verdict(points)
    with written_beside(output / "learning_curve.png") as beside:
        learning_curve_figure(points).savefig(beside, dpi=120, format="png")
    with written_beside(output / "learning_curve.txt") as beside:
        beside.write_text(answer + "\n", encoding="utf-8")
    for point in points:
        out.print(
            f"{point.rois} ROIs of {point.tomograms} tomograms: Dice {shown(point.dice_pooled)}, "
            f"false positives {point.false_positive_rate:.0%}, missed {point.false_negative_rate:.0%}",
            markup=False,
        )
    out.print(answer, markup=False)
    out.print(f"wrote {output / 'learning_curve.csv'}, .png and .txt", markup=False)


def rank(
    confidence: Annotated[list[Path], Parameter(help="confidence maps of `predict`, or folders of them")],
    /,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"], help="ranking.csv, a row a place")],
    rois: Annotated[
        list[Path] | None, several("ROIs of these maps (.npz or folders); else what is above the threshold")
    ] = None,
    threshold: Annotated[
        float | None, Parameter(help="confidence from which a voxel counts; the model's own where not given")
    ] = None,
    voxel_size: VoxelSize = None,
    settings: SettingsFile = None,
    overwrite: Overwrite = False,
) -> None:
    """Which tomogram and which place to look at next: those that the network is least sure of.

    Maps of `predict --uncertainty` beside the confidence maps add a column.
    """
    from tomorois.guidance.ranking import RULE, RankSettings, maps_to_rank, write_ranking
    from tomorois.guidance.ranking import rank as ranked

    if output.exists() and not overwrite:
        raise InputError(f"{output}: exists already; pass --overwrite to replace it")
    require_writable_folder(output.parent)
    chosen = section(RankSettings, "rank", settings)
    maps = volume_files(confidence, "confidence")
    with progress_bar("rank") as progress:
        items = maps_to_rank(maps, roi_files(rois or [], "__rois.npz"), threshold, voxel_size, progress)
        tomograms, places = ranked(items, chosen)
    paths = write_ranking(output, tomograms, places)
    for row in tomograms.head(SHOWN_PLACES).itertuples():
        out.print(
            f"{row.rank}. {row.tomogram}: expects a Dice of {shown(row.expected_dice)}, {row.rois} ROIs, "
            f"{row.below_threshold} places just below the threshold",
            markup=False,
        )
    for row in places.head(SHOWN_PLACES).itertuples():
        what = "ROI" if row.kind == "roi" else "below the threshold"
        at = f"x {row.centroid_x_nm:.0f}, y {row.centroid_y_nm:.0f}, z {row.centroid_z_nm:.0f} nm"
        out.print(
            f"{row.rank}. {row.tomogram}, {what} {row.id} at {at}: {shown(row.entropy_bits)} bits",
            markup=False,
        )
    out.print(f"ranked {RULE}", markup=False)
    out.print(f"wrote {paths[0]} and {paths[1]}", markup=False)
    next_hint("look at the first ones, correct their labels, and tomorois train --init MODEL on all of them")


class _LiveLine:
    """Prints a line at every validation of a training: step, loss, Dice."""

    def __init__(self) -> None:
        self.last_dice = float("nan")

    def __call__(self, live: LiveTraining) -> None:
        if live.dice == live.dice and live.dice != self.last_dice:
            self.last_dice = live.dice
            out.print(
                f"step {live.step} of {live.planned_steps or '?'}, {live.seconds:.0f} s: "
                f"loss {live.loss:.4f}, Dice {live.dice:.3f} at threshold {live.threshold:.2f}",
                markup=False,
            )
