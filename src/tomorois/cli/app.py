"""The `tomorois` command: parse, call one library function, write its result."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter

from tomocore.contract import Batch, InputError, about
from tomocore.files import require_writable_folder, writable_folder, written_beside
from tomocore.page import shown
from tomocore.provenance import file_hash
from tomocore.roiset import read_rois, write_rois
from tomocore.terminal.console import Terminal, leave, out, progress_bar, status_of
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
from tomocore.volumes.formats import (
    READABLE,
    read_volume,
    volume_files,
    volume_stem,
    write_volume,
)
from tomorois.cli.options import SECTIONS, require_torch, section, several, template_of
from tomorois.cli.training import learning_curve, phantom, rank, train
from tomorois.pairing import (
    made_by,
    membrane_files,
    membranes_of,
    model_threshold,
    roi_files,
    tomogram_stem,
)

if TYPE_CHECKING:
    from tomorois.instances.find import InstanceSettings

log = logging.getLogger(__name__)

app = App(
    name="tomorois",
    help="Find regions of interest directly in tomograms: annotate a few, train from scratch, predict, "
    "make instances, evaluate.",
    version="0.1.0",
)

app.command(phantom, sort_key=1)
app.command(train, sort_key=2)
app.command(rank, sort_key=5)
app.command(learning_curve, name="learning-curve", sort_key=8)

Tomograms = Annotated[list[Path], Parameter(help=f"tomograms, or folders of them: {READABLE}")]


@app.command(sort_key=3)
def predict(
    model: Annotated[Path, Parameter(help="model.safetensors of `tomorois train`")],
    tomograms: Tomograms,
    /,
    *,
    output: Output,
    membranes: Annotated[
        list[Path] | None, several("membranes, for a model that was trained with them; as in `train`")
    ] = None,
    uncertainty: Annotated[
        bool, Parameter(negative="", help="predict mirrored copies too and write how much they disagree")
    ] = False,
    file_type: Annotated[
        Literal["mrc", "zarr"], Parameter(name="--format", help="what the maps are written as")
    ] = "mrc",
    voxel_size: VoxelSize = None,
    settings: SettingsFile = None,
    jobs: Jobs = None,
    overwrite: Overwrite = False,
) -> int:
    """Confidence maps (0 to 1) of tomograms: `<stem>__confidence.mrc`.

    With --uncertainty also `<stem>__uncertainty.mrc`: the standard deviation over mirrored copies. Maps are
    streamed to disk; tomograms that have theirs are skipped.
    """
    require_torch()
    from tomorois.network.checkpoint import load_model
    from tomorois.prediction.predict import PredictSettings, predict_to_file, require_orientations

    chosen = section(PredictSettings, "predict", settings)
    if uncertainty:
        require_orientations(chosen)
    network, record = load_model(model)
    use_threads(cores(jobs))
    paths = volume_files(tomograms)
    sides = membranes_of(paths, membrane_files(membranes or []))
    facts = {"model": model.name, "model_sha256": file_hash(model), "threshold": record.threshold}
    batch = Batch(Terminal())
    logging.getLogger("tomorois.prediction.predict").setLevel(
        logging.INFO
    )  # it says what memory a run will take

    def one(path: Path) -> None:
        target, spread = (
            output / f"{volume_stem(path)}__{what}.{file_type}" for what in ("confidence", "uncertainty")
        )
        if target.exists() and (spread.exists() or not uncertainty) and not overwrite:
            other = made_by(target).get("model_sha256", facts["model_sha256"]) != facts["model_sha256"]
            of_what = "exists, made by another model" if other else "exists"
            batch.skip(str(path), f"{target} {of_what}; pass --overwrite to replace it")
            return
        if sides and path not in sides:
            raise InputError(f"{path}: no file of --membranes is named after it; give one, or leave it out")
        volume = read_volume(path, voxel_size, lazy=True)
        beside = read_volume(sides[path], voxel_size, lazy=True) if path in sides else None
        with about(path.name), progress_bar(path.name) as progress:
            predict_to_file(
                network,
                record,
                volume,
                target,
                chosen,
                progress,
                membranes=beside,
                uncertainty_path=spread if uncertainty else None,
            )
        _write_json(target.with_suffix(".json"), {**facts, "tomogram": path.name, **chosen.model_dump()})
        out.print(f"wrote {target}", markup=False)

    with writable_folder(output):
        batch.each(paths, one)
    next_hint(f"tomorois instances {output} -o rois" if batch.has_results else "")
    return status_of(batch)


@app.command(sort_key=4)
def instances(
    confidence: Annotated[list[Path], Parameter(help="confidence maps, or folders of them")],
    /,
    *,
    output: Output,
    threshold: Annotated[
        float | None, Parameter(help="confidence from which a voxel counts; the model's own where not given")
    ] = None,
    membranes: Annotated[
        list[Path] | None, several("membrane labels, one a map or a folder of `<stem>__membranes.mrc`")
    ] = None,
    split: Annotated[
        Literal["watershed", "contacts", "none"] | None,
        Parameter(help="how fused places are told apart; by contacts where membranes are given"),
    ] = None,
    voxel_size: VoxelSize = None,
    settings: SettingsFile = None,
    overwrite: Overwrite = False,
) -> int:
    """ROIs from confidence maps: `<stem>__rois.mrc` (labels), .csv (table) and .npz (overlaps kept)."""
    from tomorois.instances.find import find_instances

    maps = volume_files(confidence, "confidence")
    partners = membranes_of(maps, volume_files(membranes or [], "membranes"))
    asked = _instance_settings(settings, threshold, split, membranes)
    batch = Batch(Terminal())

    def one(path: Path) -> None:
        stem = tomogram_stem(path)
        if (output / f"{stem}__rois.npz").exists() and not overwrite:
            batch.skip(str(path), f"{output}/{stem}__rois.npz exists; pass --overwrite to replace it")
            return
        chosen = asked.unless_set(model_threshold(path))
        sides = read_volume(partners[path], voxel_size) if path in partners else None
        with about(path.name), progress_bar(path.name) as progress:
            rois = find_instances(read_volume(path, voxel_size), chosen, sides, progress)
        write_rois(output, stem, rois, overwrite=True)
        out.print(f"{stem}: {len(rois)} ROIs at threshold {shown(chosen.least_confidence)}", markup=False)

    with writable_folder(output):
        batch.each(maps, one)
    follows = "tomorois restrict MEMBRANES --rois ROIS -o OUT, or surfora run MEMBRANES --rois ROIS -o DIR"
    next_hint(follows if batch.has_results else "")
    return status_of(batch)


@app.command(sort_key=6)
def restrict(
    mask: Annotated[Path, Parameter(help="membrane mask")],
    /,
    *,
    rois: Annotated[Path, Parameter(help="ROIs of the same tomogram: .npz or labels")],
    output: Output,
    dilation: Annotated[float | None, Parameter(help="nm by which ROIs are grown first")] = None,
    voxel_size: VoxelSize = None,
    settings: SettingsFile = None,
    overwrite: Overwrite = False,
) -> None:
    """The membrane within (grown) ROIs, labelled by ROI."""
    from tomorois.instances.restrict import RestrictSettings, restrict_mask

    if output.exists() and not overwrite:
        raise InputError(f"{output}: exists already; pass --overwrite to replace it")
    chosen = section(RestrictSettings, "restrict", settings, dilation_nm=dilation)
    volume = read_volume(mask, voxel_size)
    with progress_bar("restrict") as progress:
        cut = restrict_mask(volume, read_rois(rois, voxel_size), chosen.dilation_nm, progress)
    require_writable_folder(output.parent)
    write_volume(output, cut)
    out.print(f"wrote {output}", markup=False)
    next_hint(f"surfora run {mask} --rois {rois} -o DIR")


@app.command(sort_key=9)
def evaluate(
    *,
    predicted: Annotated[list[Path], several("ROIs or confidence maps, or folders of either")],
    truth: Annotated[list[Path], several("true ROIs: .npz or labels, one a prediction")],
    output: Annotated[Path, Parameter(name=["--output", "-o"], help="metrics.json; figures in metrics.html")],
    model: Annotated[
        Path | None, Parameter(help="the model, so that tomograms it was trained on are told")
    ] = None,
    threshold: Annotated[
        float | None, Parameter(help="for confidence maps: where they count; the model's own where not given")
    ] = None,
    membranes: Annotated[list[Path] | None, several("membranes, where maps are split by contacts")] = None,
    split: Annotated[
        Literal["watershed", "contacts", "none"] | None,
        Parameter(help="for confidence maps: how fused places are told apart, as in `tomorois instances`"),
    ] = None,
    voxel_size: VoxelSize = None,
    settings: SettingsFile = None,
    overwrite: Overwrite = False,
) -> None:
    """Score predicted ROIs against true ones: matches, rates with intervals, Dice and IoU.

    Writes the scores as JSON and a report with figures beside it.
    """
    from tomorois.evaluation.evaluate import evaluate_files, write_evaluation
    from tomorois.evaluation.report import cautions, score_lines, write_score_report
    from tomorois.evaluation.scores import EvaluateSettings

    if output.exists() and not overwrite:
        raise InputError(f"{output}: exists already; pass --overwrite to replace it")
    require_writable_folder(output.parent)
    with progress_bar("evaluate") as progress:
        evaluation = evaluate_files(
            roi_files(predicted, "__rois.npz", "confidence"),
            roi_files(truth, "__truth.npz", "labels"),
            section(EvaluateSettings, "evaluate", settings),
            _instance_settings(settings, threshold, split, membranes),
            membrane_files(membranes or []),
            voxel_size,
            _trained_on(model),
            progress,
        )
    write_evaluation(output, evaluation)
    report = output.with_suffix(".html")
    write_score_report(report, evaluation)
    for caution in cautions(evaluation):
        log.warning(caution)
    for line in score_lines(evaluation):
        out.print(line, markup=False)
    out.print(f"wrote {output} and {report}", markup=False)


@app.command(sort_key=10)
def info(files: Annotated[list[Path], Parameter(help="volumes, ROI files or models")], /) -> int:
    """Say what files are, how big, their voxel size and polarity, and what looks wrong."""
    from tomorois.info import inspect_file, report_lines

    batch = Batch(Terminal())

    def one(path: Path) -> None:
        out.print("\n".join(report_lines(inspect_file(path))), markup=False)

    batch.each(files, one)
    return 1 if batch.failed else 0


@app.command(sort_key=11)
def crop(
    volume: Annotated[Path, Parameter(help="tomogram or mask to cut from")],
    /,
    *,
    rois: Annotated[Path, Parameter(help="ROIs of the same tomogram: .npz or labels")],
    output: Output,
    margin: Annotated[float | None, Parameter(help="nm around each ROI's box")] = None,
    voxel_size: VoxelSize = None,
    settings: SettingsFile = None,
    overwrite: Overwrite = False,
) -> None:
    """Cut ROI subvolumes with a margin for any other segmentation program; `paste` puts masks back."""
    from tomorois.instances.crops import CropSettings, write_crops

    chosen = section(CropSettings, "crop", settings, margin_nm=margin)
    require_writable_folder(output)
    regions = read_rois(rois, voxel_size)
    paths = write_crops(
        output,
        volume_stem(volume),
        read_volume(volume, voxel_size, lazy=True),
        regions,
        chosen.margin_nm,
        overwrite,
    )
    out.print(f"wrote {len(paths) - 1} subvolumes and {paths[-1]}", markup=False)


@app.command(sort_key=12)
def paste(
    masks: Annotated[list[Path], Parameter(help="masks of the subvolumes, named after them")],
    /,
    *,
    crops: Annotated[Path, Parameter(help="the __crops.csv that `crop` wrote")],
    like: Annotated[Path, Parameter(help="the volume they were cut from")],
    output: Output,
    voxel_size: VoxelSize = None,
    overwrite: Overwrite = False,
) -> None:
    """Put masks of ROI subvolumes back at their places in the tomogram."""
    from tomorois.instances.crops import paste_masks, read_crops

    if output.exists() and not overwrite:
        raise InputError(f"{output}: exists already; pass --overwrite to replace it")
    whole = read_volume(like, voxel_size, lazy=True)
    write_volume(output, paste_masks(read_crops(masks, crops, whole), whole))
    out.print(f"wrote {output}", markup=False)


@app.command(sort_key=13)
def settings() -> None:
    """Print a settings file with every default, its meaning and its range, for -s."""
    for name in SECTIONS:
        print(template_of(name))


def _instance_settings(
    path: Path | None, threshold: float | None, split: str | None, membranes: list[Path] | None
) -> InstanceSettings:
    """Those of the file and the command line; membranes mean contacts where no other split is asked for."""
    from tomorois.instances.find import InstanceSettings

    how = split or ("contacts" if membranes else None)
    return section(InstanceSettings, "instances", path, threshold=threshold, split=how)


def _trained_on(model: Path | None) -> list[str] | None:
    """Names and hashes of the files that a model was trained on, or None where no model is given."""
    if model is None:
        return None
    require_torch()
    from tomorois.training.data import marks_of_model

    return marks_of_model(model)


def _write_json(path: Path, values: dict[str, Any]) -> None:
    with written_beside(path) as beside:
        beside.write_text(json.dumps(values, indent=2, default=str) + "\n", encoding="utf-8")


def main() -> None:
    """Entry point of the `tomorois` command."""
    leave(app)
