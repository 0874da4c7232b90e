"""The `tomorois` command: parse, call one library function, write its result."""

from __future__ import annotations

import importlib
import importlib.util
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from cyclopts import App, Parameter

from tomocore.console import Batch, InputError, about, leave, out, progress_bar, require_writable_folder
from tomocore.formats import READABLE, read_volume, volume_files, volume_stem, write_volume, written_beside
from tomocore.options import Jobs, Output, Overwrite, SettingsFile, VoxelSize, cores, next_hint, use_threads
from tomocore.page import shown
from tomocore.provenance import file_hash
from tomocore.roiset import read_rois, write_rois
from tomocore.settings import Settings, load_section, settings_template

if TYPE_CHECKING:
    from tomorois.training_loop import LiveTraining

app = App(
    name="tomorois",
    help="Find regions of interest directly in tomograms: annotate a few, train from scratch, predict, "
    "make instances, evaluate.",
    version="0.1.0",
)

SECTIONS = {
    "phantom": "tomorois.phantom:PhantomSettings",
    "train": "tomorois.training_loop:TrainSettings",
    "predict": "tomorois.predict:PredictSettings",
    "instances": "tomorois.instances:InstanceSettings",
    "restrict": "tomorois.restrict:RestrictSettings",
    "crop": "tomorois.crops:CropSettings",
    "evaluate": "tomorois.scores:EvaluateSettings",
}
"""Sections of the settings file and their types, loaded when asked for: two of them need PyTorch."""

S = TypeVar("S", bound=Settings)

Tomograms = Annotated[list[Path], Parameter(help=f"tomograms, or folders of them: {READABLE}")]


def _several(help_text: str, **more: Any) -> Parameter:
    return Parameter(consume_multiple=True, negative="", help=help_text, **more)


@app.command(sort_key=1)
def phantom(
    *,
    output: Output,
    kind: Annotated[Literal["contacts", "invaginations"], Parameter(help="what the tomograms show")],
    count: Annotated[int, Parameter(help="how many tomograms")] = 1,
    seed: Annotated[int, Parameter(help="number that everything random follows from")] = 0,
    settings: SettingsFile = None,
    jobs: Jobs = None,
    overwrite: Overwrite = False,
) -> None:
    """Make synthetic tomograms with exact truth: membranes, training labels, ROIs, gaps and radii."""
    from tomorois.phantom import PhantomSettings, write_phantoms

    if count < 1:
        raise InputError(f"--count {count}: at least one tomogram is needed")
    chosen = _section(PhantomSettings, "phantom", settings)
    require_writable_folder(output)
    with progress_bar("phantoms") as progress:
        paths = write_phantoms(output, kind, count, seed, chosen, overwrite, cores(jobs), progress)
    out.print(f"{len(paths)} tomograms with their truth in {output}", markup=False)
    next_hint(f"tomorois train --tomograms {output} --labels {output} -o model.safetensors")


@app.command(sort_key=2)
def train(
    *,
    tomograms: Annotated[list[Path], _several("tomograms, or folders of them")],
    labels: Annotated[list[Path], _several("label volumes: 0 background, 1… ROI, and the ignore value")],
    output: Output,
    validation: Annotated[
        list[Path] | None, _several("tomograms held out, whose labels are among --labels")
    ] = None,
    penalty: Annotated[list[Path] | None, _several("rejected ROIs (.npz or labels), one a tomogram")] = None,
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
    _require_torch()
    from tomorois.train import train as train_model
    from tomorois.training_data import read_training_tomograms
    from tomorois.training_loop import TrainSettings

    if output.exists() and not overwrite and not resume:
        raise InputError(f"{output}: exists already; pass --overwrite to train anew, or another name with -o")
    require_writable_folder(output.parent)
    chosen = _section(TrainSettings, "train", settings)
    use_threads(cores(jobs))
    taught = volume_files(tomograms)
    watched = volume_files(validation or [])
    taught = [path for path in taught if path not in watched]
    named = volume_files(labels, "labels")
    samples = read_training_tomograms(taught, _labels_of(taught, named), penalty or (), voxel_size)
    held_out = read_training_tomograms(watched, _labels_of(watched, named), (), voxel_size) if watched else []
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
    for score in result.scores:
        before = "" if score.dice_before is None else f", {shown(score.dice_before)} before"
        which = "held out" if score.held_out else "trained on"
        out.print(f"{score.name} ({which}): Dice {shown(score.dice)}{before}", markup=False)
    on = "tomograms held out" if result.validated else "training tomograms (optimistic)"
    out.print(
        f"wrote {output}: Dice {shown(result.dice)} on {on}, threshold {shown(result.threshold)}, "
        f"{result.steps} steps in {result.seconds:.0f} s",
        markup=False,
    )
    next_hint(f"tomorois predict {output} TOMOGRAMS -o predictions")


@app.command(sort_key=3)
def predict(
    model: Annotated[Path, Parameter(help="model.safetensors of `tomorois train`")],
    tomograms: Tomograms,
    /,
    *,
    output: Output,
    voxel_size: VoxelSize = None,
    settings: SettingsFile = None,
    jobs: Jobs = None,
    overwrite: Overwrite = False,
) -> int:
    """Confidence maps (0 to 1) of tomograms: <stem>__confidence.mrc."""
    _require_torch()
    from tomorois.checkpoint import load_model
    from tomorois.predict import PredictSettings, predict_to_file

    chosen = _section(PredictSettings, "predict", settings)
    network, record = load_model(model)
    require_writable_folder(output)
    use_threads(cores(jobs))
    facts = {"model": model.name, "model_sha256": file_hash(model), "threshold": record.threshold}
    batch = Batch()

    def one(path: Path) -> None:
        target = output / f"{volume_stem(path)}__confidence.mrc"
        if target.exists() and not overwrite:
            batch.skip(str(path), f"{target} exists; pass --overwrite to replace it")
            return
        volume = read_volume(path, voxel_size, lazy=True)
        with about(path.name), progress_bar(path.name) as progress:
            predict_to_file(network, record, volume, target, chosen, progress)
        _write_json(target.with_suffix(".json"), {**facts, "tomogram": path.name, **chosen.model_dump()})
        out.print(f"wrote {target}", markup=False)

    batch.each(volume_files(tomograms), one)
    next_hint(f"tomorois instances {output} -o rois")
    return batch.exit_status()


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
        list[Path] | None, _several("membrane labels, one a map or a folder of <stem>__membranes.mrc")
    ] = None,
    split: Annotated[
        Literal["watershed", "contacts", "none"] | None, Parameter(help="how fused places are told apart")
    ] = None,
    voxel_size: VoxelSize = None,
    settings: SettingsFile = None,
    overwrite: Overwrite = False,
) -> int:
    """ROIs from confidence maps: <stem>__rois.mrc (labels), .csv (table) and .npz (overlaps kept)."""
    from tomorois.instances import InstanceSettings, find_instances

    require_writable_folder(output)
    maps = volume_files(confidence, "confidence")
    partners = _membranes_of(maps, volume_files(membranes or [], "membranes"))
    batch = Batch()

    def one(path: Path) -> None:
        stem = _tomogram_stem(path)
        if (output / f"{stem}__rois.npz").exists() and not overwrite:
            batch.skip(str(path), f"{output}/{stem}__rois.npz exists; pass --overwrite to replace it")
            return
        given = threshold if threshold is not None else _model_threshold(path)
        chosen = _section(InstanceSettings, "instances", settings, threshold=given, split=split)
        sides = read_volume(partners[path], voxel_size) if path in partners else None
        with about(path.name), progress_bar(path.name) as progress:
            rois = find_instances(read_volume(path, voxel_size), chosen, sides, progress)
        write_rois(output, stem, rois, overwrite=True)
        out.print(f"{stem}: {len(rois)} ROIs at threshold {shown(chosen.threshold)}", markup=False)

    batch.each(maps, one)
    next_hint("tomorois restrict MEMBRANES --rois ROIS -o OUT, or surfora run MEMBRANES --rois ROIS -o DIR")
    return batch.exit_status()


@app.command(sort_key=5)
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
    from tomorois.restrict import RestrictSettings, restrict_mask

    if output.exists() and not overwrite:
        raise InputError(f"{output}: exists already; pass --overwrite to replace it")
    chosen = _section(RestrictSettings, "restrict", settings, dilation_nm=dilation)
    volume = read_volume(mask, voxel_size)
    with progress_bar("restrict") as progress:
        cut = restrict_mask(volume, read_rois(rois, voxel_size), chosen.dilation_nm, progress)
    require_writable_folder(output.parent)
    write_volume(output, cut)
    out.print(f"wrote {output}", markup=False)
    next_hint(f"surfora run {mask} --rois {rois} -o DIR")


@app.command(sort_key=6)
def evaluate(
    *,
    predicted: Annotated[list[Path], _several("ROIs or confidence maps, or folders of <stem>__rois files")],
    truth: Annotated[list[Path], _several("true ROIs: .npz or labels, one a prediction")],
    output: Annotated[Path, Parameter(name=["--output", "-o"], help="metrics.json")],
    model: Annotated[
        Path | None, Parameter(help="the model, so that tomograms it was trained on are told")
    ] = None,
    membranes: Annotated[list[Path] | None, _several("membranes, where ROIs are split by contacts")] = None,
    voxel_size: VoxelSize = None,
    settings: SettingsFile = None,
) -> None:
    """Score predicted ROIs against true ones: matches, rates with intervals, Dice and IoU."""
    from tomorois.evaluate import evaluate_files, write_evaluation
    from tomorois.instances import InstanceSettings
    from tomorois.scores import EvaluateSettings

    require_writable_folder(output.parent)
    with progress_bar("evaluate") as progress:
        evaluation = evaluate_files(
            _roi_files(predicted, "__rois.npz"),
            _roi_files(truth, "__truth.npz"),
            _section(EvaluateSettings, "evaluate", settings),
            _section(InstanceSettings, "instances", settings),
            membranes or (),
            voxel_size,
            _trained_on(model),
            progress,
        )
    write_evaluation(output, evaluation)
    for name, value in evaluation.counts.items():
        out.print(f"{name} {value}", markup=False)
    for name, score in evaluation.scores.items():
        low, high = (score.get(f"roi_{end}", score.get(end)) for end in ("low", "high"))
        span = "" if low is None else f" ({shown(low)} to {shown(high)})"
        out.print(f"{name} {shown(score['value'])}{span}", markup=False)
    out.print(f"wrote {output}", markup=False)


@app.command(sort_key=7)
def info(files: Annotated[list[Path], Parameter(help="volumes, ROI files or models")], /) -> int:
    """Say what files are, how big, their voxel size and polarity, and what looks wrong."""
    from tomorois.inspect import inspect_file, report_lines

    batch = Batch()

    def one(path: Path) -> None:
        out.print("\n".join(report_lines(inspect_file(path))), markup=False)

    batch.each(files, one)
    return 1 if batch.failed else 0


@app.command(sort_key=8)
def crop(
    volume: Annotated[Path, Parameter(help="tomogram or mask to cut from")],
    /,
    *,
    rois: Annotated[Path, Parameter(help="ROIs of the same tomogram: .npz or labels")],
    output: Output,
    margin: Annotated[float | None, Parameter(help="nm around each ROI's box")] = None,
    voxel_size: VoxelSize = None,
    settings: SettingsFile = None,
) -> None:
    """Cut ROI subvolumes with a margin for any other segmentation program; `paste` puts masks back."""
    from tomorois.crops import CropSettings, write_crops

    chosen = _section(CropSettings, "crop", settings, margin_nm=margin)
    require_writable_folder(output)
    paths = write_crops(
        output, volume_stem(volume), read_volume(volume, voxel_size), read_rois(rois), chosen.margin_nm
    )
    out.print(f"wrote {len(paths) - 1} subvolumes and {paths[-1]}", markup=False)


@app.command(sort_key=9)
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
    from tomorois.crops import paste_masks, read_crops

    if output.exists() and not overwrite:
        raise InputError(f"{output}: exists already; pass --overwrite to replace it")
    whole = read_volume(like, voxel_size, lazy=True)
    write_volume(output, paste_masks(read_crops(masks, crops, whole), whole))
    out.print(f"wrote {output}", markup=False)


@app.command(sort_key=10)
def settings() -> None:
    """Print a settings file with every default, its meaning and its range, for -s."""
    for section, place in SECTIONS.items():
        module, name = place.split(":")
        if module in ("tomorois.training_loop", "tomorois.predict"):
            _require_torch()
        print(settings_template(getattr(importlib.import_module(module), name), section))


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


def _section(kind: type[S], section: str, path: Path | None, **overrides: Any) -> S:
    return load_section(kind, section, tuple(SECTIONS), path, **overrides)


def _require_torch() -> None:
    if importlib.util.find_spec("torch") is None:
        raise InputError(
            "training and prediction need PyTorch, which is not installed; "
            "install it with: pip install 'tomorois-surfora[rois]'"
        )


def _tomogram_stem(path: Path) -> str:
    """``tomo_01`` of ``tomo_01__confidence.mrc``."""
    return volume_stem(path).split("__")[0]


def _labels_of(tomograms: list[Path], labels: list[Path]) -> list[Path]:
    """The labels among ``labels`` named after one of the tomograms, or all of them where none is."""
    stems = {volume_stem(path) for path in tomograms}
    return [path for path in labels if _tomogram_stem(path) in stems] or labels


def _membranes_of(maps: list[Path], membranes: list[Path]) -> dict[Path, Path]:
    """Which membrane labels belong to which map, by the tomogram's name, else by order."""
    if not membranes:
        return {}
    by_stem = {_tomogram_stem(path): path for path in membranes}
    if all(_tomogram_stem(path) in by_stem for path in maps):
        return {path: by_stem[_tomogram_stem(path)] for path in maps}
    if len(membranes) != len(maps):
        raise InputError(
            f"--membranes names {len(membranes)} files for {len(maps)} maps and their names do not match; "
            "give one a map"
        )
    return dict(zip(maps, membranes, strict=True))


def _model_threshold(confidence: Path) -> float | None:
    """The threshold of the model that made a confidence map, from the file that `predict` left beside it."""
    try:
        return float(json.loads(confidence.with_suffix(".json").read_text())["threshold"])
    except (OSError, ValueError, KeyError):
        return None


def _roi_files(paths: list[Path], ending: str) -> list[Path]:
    """The files, each folder replaced by its files of that ending."""
    files: list[Path] = []
    for path in paths:
        inside = sorted(path.glob(f"*{ending}")) if path.is_dir() else [path]
        if not inside:
            raise InputError(f"{path}: this folder holds no *{ending} files; name the files themselves")
        files += inside
    return files


def _trained_on(model: Path | None) -> list[str] | None:
    """Names and hashes of the files that a model was trained on, or None where no model is given."""
    if model is None:
        return None
    _require_torch()
    from tomorois.checkpoint import load_model
    from tomorois.training_data import training_marks

    return training_marks(load_model(model)[1].training)


def _write_json(path: Path, values: dict[str, Any]) -> None:
    with written_beside(path) as beside:
        beside.write_text(json.dumps(values, indent=2, default=str) + "\n", encoding="utf-8")


def main() -> None:
    """Entry point of the `tomorois` command."""
    leave(app)
