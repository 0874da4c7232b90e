"""The `tomorois` command: parse, call one function at the level of files, say what it returned."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter

from tomocore.contract import Batch
from tomocore.files_of_tomograms import READABLE, product_files, tomogram_files
from tomocore.machine import cores, use_threads
from tomocore.terminal.console import Terminal, leave, out, say_first_use, status_of
from tomocore.terminal.options import (
    Jobs,
    Output,
    Overwrite,
    Resample,
    SettingsFile,
    VoxelSize,
    next_hint,
)
from tomorois.cli.options import SECTIONS, membrane_files, require_torch, section, several, template_of
from tomorois.cli.training import learning_curve, phantom, rank, train
from tomorois.cli.windows import annotate, curate

if TYPE_CHECKING:
    from tomorois.instances.settings import InstanceSettings

app = App(
    name="tomorois",
    help="Find regions of interest directly in tomograms: annotate a few, train from scratch, predict, "
    "make instances, evaluate.",
    version="0.1.0",
)

app.command(phantom, sort_key=1)
app.command(annotate, sort_key=1.5)
app.command(curate, sort_key=4.5)
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
    resample: Resample = False,
    settings: SettingsFile = None,
    jobs: Jobs = None,
    overwrite: Overwrite = False,
) -> int:
    """Confidence maps (0 to 1) of tomograms: `<stem>__confidence.mrc`.

    With --uncertainty also `<stem>__uncertainty.mrc`: the standard deviation over mirrored copies. Maps are
    streamed to disk; tomograms that have theirs are skipped.
    """
    require_torch()
    from tomorois.prediction.files import PredictRequest, predict_files
    from tomorois.prediction.settings import PredictSettings

    use_threads(cores(jobs))
    request = PredictRequest(
        tomograms=tomogram_files(tomograms),
        folder=output,
        membranes=membrane_files(membranes),
        uncertainty=uncertainty,
        file_type=file_type,
        voxel_size_nm=voxel_size,
        resample=resample,
        overwrite=overwrite,
    )
    say_first_use("tomorois")
    batch = predict_files(model, request, section(PredictSettings, "predict", settings), Terminal())
    beside = f" --membranes {' '.join(map(str, membranes))}" if membranes else ""
    next_hint(f"tomorois instances {output}{beside} -o rois" if batch.has_results else "")
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
    resample: Resample = False,
    settings: SettingsFile = None,
    overwrite: Overwrite = False,
) -> int:
    """ROIs from confidence maps: `<stem>__rois.mrc` (labels), .csv (table) and .npz (overlaps kept)."""
    from tomorois.instances.files import find_instances_in_files

    batch = find_instances_in_files(
        product_files(confidence, "confidence"),
        output,
        _instance_settings(settings, threshold, split),
        membranes=membrane_files(membranes),
        voxel_size_nm=voxel_size,
        resample=resample,
        overwrite=overwrite,
        watcher=Terminal(),
    )
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
    resample: Resample = False,
    settings: SettingsFile = None,
    overwrite: Overwrite = False,
) -> int:
    """The membrane within (grown) ROIs, labelled by ROI."""
    from tomorois.instances.files import restrict_file
    from tomorois.instances.restrict import RestrictSettings

    chosen = section(RestrictSettings, "restrict", settings, dilation_nm=dilation)
    batch = restrict_file(
        mask,
        rois,
        output,
        chosen,
        voxel_size_nm=voxel_size,
        resample=resample,
        overwrite=overwrite,
        watcher=Terminal(),
    )
    next_hint(f"surfora run {mask} --rois {rois} -o DIR")
    return status_of(batch)


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
    resample: Resample = False,
    settings: SettingsFile = None,
    overwrite: Overwrite = False,
) -> int:
    """Score predicted ROIs against true ones: matches, rates with intervals, Dice and IoU.

    Writes the scores as JSON and a report with figures beside it.
    """
    from tomorois.evaluation.files import EvaluateRequest, evaluate_to_file
    from tomorois.evaluation.settings import EvaluateSettings

    if model is not None:
        require_torch()
    request = EvaluateRequest(
        predicted=product_files(predicted, "rois.npz", "confidence"),
        truth=product_files(truth, "truth.npz", "labels"),
        membranes=membrane_files(membranes),
        model=model,
        voxel_size_nm=voxel_size,
        resample=resample,
    )
    batch = evaluate_to_file(
        request,
        output,
        section(EvaluateSettings, "evaluate", settings),
        _instance_settings(settings, threshold, split),
        overwrite=overwrite,
        watcher=Terminal(),
    )
    return status_of(batch)


@app.command(sort_key=10)
def info(files: Annotated[list[Path], Parameter(help="volumes, ROI files or models")], /) -> int:
    """Say what files are, how big, their voxel size and polarity, and what looks wrong."""
    from tomorois.info import inspect_file, report_lines

    batch = Batch(Terminal())
    batch.each(files, lambda path: "\n".join(report_lines(inspect_file(path))))
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
    resample: Resample = False,
    settings: SettingsFile = None,
    overwrite: Overwrite = False,
) -> int:
    """Cut ROI subvolumes with a margin for any other segmentation program; `paste` puts masks back."""
    from tomorois.instances.crops import CropSettings
    from tomorois.instances.files import crop_file

    chosen = section(CropSettings, "crop", settings, margin_nm=margin)
    batch = crop_file(
        volume,
        rois,
        output,
        chosen,
        voxel_size_nm=voxel_size,
        resample=resample,
        overwrite=overwrite,
        watcher=Terminal(),
    )
    return status_of(batch)


@app.command(sort_key=12)
def paste(
    masks: Annotated[list[Path], Parameter(help="masks of the subvolumes, named after them")],
    /,
    *,
    crops: Annotated[Path, Parameter(help="the __crops.csv that `crop` wrote")],
    like: Annotated[Path, Parameter(help="the volume they were cut from")],
    output: Output,
    voxel_size: VoxelSize = None,
    resample: Resample = False,
    overwrite: Overwrite = False,
) -> int:
    """Put masks of ROI subvolumes back at their places in the tomogram."""
    from tomorois.instances.files import paste_files

    batch = paste_files(
        masks,
        crops,
        like,
        output,
        voxel_size_nm=voxel_size,
        resample=resample,
        overwrite=overwrite,
        watcher=Terminal(),
    )
    return status_of(batch)


@app.command(sort_key=13)
def settings() -> None:
    """Print a settings file with every default, its meaning and its range, for -s."""
    for name in SECTIONS:
        out.print(template_of(name), markup=False)


def _instance_settings(path: Path | None, threshold: float | None, split: str | None) -> InstanceSettings:
    """Those of the file, with what the command line overrules."""
    from tomorois.instances.settings import InstanceSettings

    return section(InstanceSettings, "instances", path, threshold=threshold, split=split)


def main() -> None:
    """Entry point of the `tomorois` command."""
    leave(app)
