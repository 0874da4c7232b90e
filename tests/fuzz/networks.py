"""What annotation, training and prediction read again: ROIs, models, states, journals, tables, records."""

import json
from pathlib import Path

import numpy as np
from fuzz import mutations
from fuzz.format import JSON, TEXT, Format, put_beside, text
from fuzz.volumes import SHAPE, grey, labels, read_rois_of, volume_writer

from tomocore.roiset import rois_from_masks, write_rois_archive
from tomocore.volumes.formats import read_volume
from tomocore.volumes.volume import Volume


def some_rois():
    masks = [np.ones((2, 3, 3), bool), np.ones((3, 2, 4), bool)]
    columns = {"confidence_mean": [0.7, 0.9], "membranes": ["1:2", "1:3"], "status": ["kept", "predicted"]}
    return rois_from_masks([(0, 1, 1), (2, 4, 3)], masks, SHAPE, 1.5, (4.0, 5.0, 6.0), columns)


def _read_rois(path: Path) -> None:
    from tomorois.info import inspect_file, report_lines

    read_rois_of(path)
    report_lines(inspect_file(path))


def _model():
    from tomorois.network.checkpoint import ModelRecord
    from tomorois.network.msdnet.config import MSDNetConfig
    from tomorois.network.msdnet.module import MSDNet

    told = [
        {"name": "t1", "rois": 3, "held_out": False, "tomogram": "t1.mrc 0a", "labels": "t1__labels.mrc 0b"}
    ]
    record = ModelRecord(voxel_size_nm=1.5, training={"tomograms": told, "dice": 0.75, "validated": True})
    return MSDNet(MSDNetConfig(layers=3, dilations=(1, 2)), seed=1), record


def _make_model(path: Path) -> None:
    from tomorois.network.checkpoint import save_model

    save_model(path, *_model())


def _read_model(path: Path) -> None:
    from tomorois.info import inspect_file, report_lines
    from tomorois.loop.folder import model_facts
    from tomorois.training.data import marks_of_model

    model_facts(path).line()
    report_lines(inspect_file(path))
    marks_of_model(path)


def _make_state(path: Path) -> None:
    import torch

    from tomorois.network.checkpoint import save_training_state
    from tomorois.training.loop import fresh_state

    state = fresh_state(torch.zeros(20))
    save_training_state(path, state.tensors(), {"fingerprint": {"data": "0a"}, "numbers": state.numbers()})


def _read_state(path: Path) -> None:
    import torch

    from tomocore.side_files import checked
    from tomorois.network.checkpoint import load_training_state
    from tomorois.training.loop import fresh_state
    from tomorois.training.train import StateInfo, _require_fitting, differences

    tensors, values = load_training_state(path)
    info = checked(values, StateInfo, str(path))
    differences(info.fingerprint, {"data": "0a"})
    _require_fitting(path, tensors, info.numbers, fresh_state(torch.zeros(20)))


CROPS = "file,id,start_z,start_y,start_x,size_z,size_y,size_x\nc__roi001.mrc,1,0,1,2,6,9,8\n"
CURVE = (
    "rois,tomograms,repeat,dice_pooled,false_positive_rate,false_negative_rate,threshold,steps,seconds\n"
    "5,2,0,0.5,0.1,nan,0.5,100,12.5\n10,3,0,0.6,0.1,0.2,0.5,100,12.5\n"
)
LOG = (
    "step,seconds,loss,learning_rate,validation_dice,threshold,roi_confidence,rejected_confidence\n"
    "10,1.5,0.75,0.001,,,,\n20,3,0.5,0.001,0.4,0.5,,\n"
)


def _read_crops(path: Path) -> None:
    from tomorois.instances.crops import read_crops

    mask = path.parent / "c__roi001.mrc"
    if not mask.exists():
        volume_writer(labels)(mask)
    read_crops([mask], path, Volume(np.zeros((20, 20, 20), np.int8), 1.5))


def _read_curve(path: Path) -> None:
    from tomorois.guidance.learning_curve import learning_curve_figure, read_points, verdict

    points = read_points(path)
    if points:
        verdict(points)
        learning_curve_figure(points)


def _read_log(path: Path) -> None:
    import pandas as pd

    from tomocore.side_files import read_rows
    from tomorois.training.figure import training_figure
    from tomorois.training.loop import LogRow

    rows = read_rows(path, LogRow, "the log of a training", "remove it")
    if rows:
        numbers = pd.DataFrame([row.model_dump() for row in rows]).replace("", np.nan).astype(float)
        training_figure(numbers)


PHANTOMS = {
    "contacts": {"kind": "contacts", "seed": 1, "tomograms": ["a"], "ignore_value": 255, "settings": {"a": 1}}
}
SIDECAR = {"model": "m.safetensors", "model_sha256": "0a", "threshold": 0.4, "tomogram": "t.mrc", "tile": 96}


def _read_phantoms(path: Path) -> None:
    from tomorois.phantoms.phantom import PhantomSettings, _made_otherwise

    _made_otherwise(put_beside(path, "phantoms.json"), "contacts", PhantomSettings())


def _read_sidecar(path: Path) -> None:
    from tomorois.prediction.record import model_threshold, record_of_map

    record_of_map(path.with_suffix(".mrc")).get("model_sha256", "")
    model_threshold(path.with_suffix(".mrc"))


def _make_strokes(folder: Path) -> None:
    from tomorois.annotation.strokes import line_stroke

    folder.mkdir()
    volume_writer(grey)(folder / "ts.mrc")
    painting = _painting(folder)
    for number in range(3):
        painting.paint(line_stroke(SHAPE, [(2.0, 3.0 + number, 4.0)], 2.0, number + 1))
    painting.undo()
    painting.journal.close()


def _painting(folder: Path):
    from tomorois.annotation.files_of_annotation import painting_files
    from tomorois.annotation.painting import Painting

    return Painting(read_volume(folder / "ts.mrc", lazy=True), painting_files(folder / "ts.mrc", folder))


def _read_strokes(folder: Path) -> None:
    _painting(folder).journal.close()


def _make_curation(folder: Path) -> None:
    """ROIs that were judged, split, drawn, taken back and found again."""
    from tomorois.annotation.curation import Curation
    from tomorois.annotation.strokes import line_stroke

    folder.mkdir()
    write_rois_archive(folder / "ts__rois.npz", some_rois())
    curation = Curation(folder)
    curation.judge("kept")
    curation.judge("rejected")
    curation.undo()
    curation.draw("ts", line_stroke(SHAPE, [(2.0, 6.0, 6.0)], 1.5, 1))
    curation.redraw(line_stroke(SHAPE, [(2.0, 6.0, 4.0)], 1.0, 1), add=True)
    curation.close()


def _read_curation(folder: Path) -> None:
    from tomorois.annotation.curation import Curation

    curation = Curation(folder)
    curation.write()
    curation.journal.close()


def _make_loop(folder: Path) -> None:
    folder.mkdir()
    volume_writer(grey)(folder / "ts.mrc")
    write_rois_archive(folder / "ts__rois.npz", some_rois())
    (folder / "tomorois_session.json").write_text(json.dumps({"tomograms": ["ts.mrc", "gone.mrc"]}))


def _read_loop(folder: Path) -> None:
    from tomorois.loop.folder import loop_of

    loop_of(folder)


NETWORKS = {
    "ROI npz": Format(
        lambda path: write_rois_archive(path, some_rois()), mutations.damaged_archive, _read_rois, ".npz", 3.0
    ),
    "model": Format(_make_model, mutations.damaged_safetensors, _read_model, ".safetensors", 2.0),
    "training state": Format(_make_state, mutations.damaged_safetensors, _read_state, ".safetensors"),
    "crops": Format(text(CROPS), TEXT, _read_crops, ".csv"),
    "curve": Format(text(CURVE), TEXT, _read_curve, ".csv"),
    "training log": Format(text(LOG), TEXT, _read_log, ".csv", 0.7),
    "strokes": Format(_make_strokes, mutations.damaged_lines, _read_strokes, "", 0.6, "*.jsonl"),
    "judgements": Format(_make_curation, mutations.damaged_lines, _read_curation, "", 1.0, "*.jsonl"),
    "loop": Format(_make_loop, JSON, _read_loop, "", 0.3, "*.json"),
    "phantoms": Format(text(json.dumps(PHANTOMS)), JSON, _read_phantoms, ".json"),
    "sidecar": Format(text(json.dumps(SIDECAR)), JSON, _read_sidecar, ".json"),
}
