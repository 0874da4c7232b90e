"""Commands of `tomorois` about learning: phantoms to learn from, training, what to annotate next."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from tomocore.contract import InputError
from tomocore.files_of_tomograms import product_files, tomogram_files
from tomocore.machine import cores, use_threads
from tomocore.page import shown
from tomocore.terminal.console import Terminal, out, say_first_use, status_of
from tomocore.terminal.options import (
    Jobs,
    Output,
    Overwrite,
    Resample,
    SettingsFile,
    VoxelSize,
    next_hint,
)
from tomorois.cli.options import membrane_files, require_torch, section, several

if TYPE_CHECKING:
    from tomorois.training.files import AnnotatedFiles
    from tomorois.training.loop import LiveTraining
    from tomorois.training.train import TrainingResult

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
    resample: Resample = False,
    settings: SettingsFile = None,
    jobs: Jobs = None,
    overwrite: Overwrite = False,
) -> int:
    """Make synthetic tomograms with exact truth: membranes, training labels, ROIs, gaps and radii.

    Of drawn scenes (--kind), or of a real segmentation's membranes (--from-labels, --pairs).
    """
    from tomorois.phantoms.files import PhantomRequest, make_phantom_files, make_phantom_files_from_labels

    if (kind is None) == (from_labels is None):
        raise InputError("give either --kind contacts, --kind invaginations or --from-labels LABELS")
    request = PhantomRequest(output, count, seed, cores(jobs), overwrite)
    if kind is not None:
        from tomorois.phantoms.phantom import PhantomSettings

        batch = make_phantom_files(request, kind, section(PhantomSettings, "phantom", settings), Terminal())
    else:
        from tomorois.phantoms.from_labels import LabelPhantomSettings

        assert from_labels is not None
        chosen = section(
            LabelPhantomSettings, "phantom_from_labels", settings, contact_limit_nm=contact_limit
        )
        batch = make_phantom_files_from_labels(
            request, from_labels, pairs or [], chosen, voxel_size, resample, Terminal()
        )
    out.print(f"{len(batch.done)} tomograms made with their truth in {output}", markup=False)
    next_hint(f"tomorois train --tomograms {output} --labels {output} -o model.safetensors")
    return status_of(batch)


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
    resample: Resample = False,
    settings: SettingsFile = None,
    jobs: Jobs = None,
    overwrite: Overwrite = False,
) -> None:
    """Train a network from scratch, or refine one, on annotated tomograms."""
    require_torch()
    from tomorois.training.files import TrainRequest, train_on_files
    from tomorois.training.settings import TrainSettings

    chosen = section(TrainSettings, "train", settings)
    use_threads(cores(jobs))
    watched = tomogram_files(validation or [])
    files = _annotated(tomograms, watched, labels, membranes, penalty, voxel_size, resample)
    request = TrainRequest(files, output, watched, init, resume, minutes, overwrite)
    say_first_use("tomorois")
    result = train_on_files(request, chosen, Terminal(), _LiveLine())
    if result is None:
        return
    _tell_result(result)
    beside = " --membranes MEMBRANES" if membranes else ""
    next_hint(f"tomorois predict {result.model_path} TOMOGRAMS{beside} -o predictions")


def _annotated(
    tomograms: list[Path],
    further: list[Path],
    labels: list[Path],
    membranes: list[Path] | None,
    penalty: list[Path] | None,
    voxel_size_nm: float | None,
    resample: bool,
) -> AnnotatedFiles:
    """The files named on the command line, of the tomograms and of the further ones that are held out."""
    from tomorois.training.files import AnnotatedFiles

    return AnnotatedFiles(
        tomograms=list(dict.fromkeys([*tomogram_files(tomograms), *further])),
        labels=product_files(labels, "labels", of_others=True),
        membranes=membrane_files(membranes),
        penalties=product_files(penalty or [], "rois.npz", "rejected.npz", "rejected"),
        voxel_size_nm=voxel_size_nm,
        resample=resample,
    )


def _tell_result(result: TrainingResult) -> None:
    """Scores tomogram by tomogram, and of a refined model what became better or worse by it."""
    from tomorois.training.files import curves_path

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
    out.print(f"curves: {curves_path(result.model_path)}", markup=False)


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
    resample: Resample = False,
    settings: SettingsFile = None,
    jobs: Jobs = None,
) -> None:
    """Is more annotation worth it: train on ever more of the ROIs, score on tomograms not trained on.

    Writes learning_curve.csv, .png and .txt (the answer in words); what is there, of the same labels and
    settings, is not trained again.
    """
    require_torch()
    from tomorois.guidance.curve_files import CurveRequest, learning_curve_of_files
    from tomorois.guidance.settings import LearningCurveSettings
    from tomorois.instances.settings import InstanceSettings
    from tomorois.training.settings import TrainSettings

    use_threads(cores(jobs))
    ahead = tomogram_files(unseen or [])
    files = _annotated(tomograms, ahead, labels, membranes, None, voxel_size, resample)
    points, answer = learning_curve_of_files(
        CurveRequest(files, output, ahead, truth or (), minutes),
        section(TrainSettings, "train", settings),
        section(LearningCurveSettings, "learning_curve", settings, rois=rois, repeats=repeats),
        section(InstanceSettings, "instances", settings),
        Terminal(),
    )
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
    resample: Resample = False,
    settings: SettingsFile = None,
    overwrite: Overwrite = False,
) -> int:
    """Which tomogram and which place to look at next: those that the network is least sure of.

    Maps of `predict --uncertainty` beside the confidence maps add a column.
    """
    from tomorois.guidance.files import rank_files
    from tomorois.guidance.ranking import RULE
    from tomorois.guidance.settings import RankSettings

    batch, ranking = rank_files(
        product_files(confidence, "confidence"),
        output,
        section(RankSettings, "rank", settings),
        rois=product_files(rois or [], "rois.npz"),
        threshold=threshold,
        voxel_size_nm=voxel_size,
        resample=resample,
        overwrite=overwrite,
        watcher=Terminal(),
    )
    if ranking is None:
        return status_of(batch)
    for row in ranking.tomograms.head(SHOWN_PLACES).itertuples():
        out.print(
            f"{row.rank}. {row.tomogram}: expects a Dice of {shown(row.expected_dice)}, {row.rois} ROIs, "
            f"{row.below_threshold} places just below the threshold",
            markup=False,
        )
    for row in ranking.places.head(SHOWN_PLACES).itertuples():
        what = "ROI" if row.kind == "roi" else "below the threshold"
        at = f"x {row.centroid_x_nm:.0f}, y {row.centroid_y_nm:.0f}, z {row.centroid_z_nm:.0f} nm"
        out.print(
            f"{row.rank}. {row.tomogram}, {what} {row.id} at {at}: {shown(row.entropy_bits)} bits",
            markup=False,
        )
    out.print(f"ranked {RULE}", markup=False)
    next_hint("look at the first ones, correct their labels, and tomorois train --init MODEL on all of them")
    return status_of(batch)


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
