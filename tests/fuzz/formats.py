"""Every kind of file that is read: how a small sound one is made, damaged, and read as commands read it."""

import bz2
import json
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from fuzz import mutations

from tomocore.roiset import labels_from_rois, read_rois, rois_from_masks, union_mask, write_rois_archive
from tomocore.volumes.formats import inspect_voxels, read_volume, write_volume
from tomocore.volumes.volume import Volume

SHAPE = (6, 9, 8)


Damage = Callable[[bytes, random.Random], bytes]


@dataclass(frozen=True)
class Format:
    """A kind of file: ``make`` writes a sound one (or a folder), ``damage`` changes its bytes.

    ``read`` reads it; ``share`` is how many of them are tried for each of the usual ones; ``parts`` chooses
    the files of a folder that are damaged (a glob).
    """

    make: Callable[[Path], object]
    damage: Damage
    read: Callable[[Path], object]
    ending: str
    share: float = 1.0
    parts: str = ""


def damaged(form: Format, sound: Path, target: Path, rng: random.Random) -> None:
    """Write a damaged copy of a sound file or folder."""
    if not sound.is_dir():
        target.write_bytes(_damaged(form.damage, sound.read_bytes(), rng))
        return
    shutil.copytree(sound, target)
    files = sorted(path for path in target.rglob(form.parts or "*") if path.is_file())
    one = rng.choice(files)
    if rng.random() < 0.05:
        one.unlink()
        return
    is_json = one.suffix == ".json" or one.name in (".zattrs", ".zgroup", ".zarray")
    one.write_bytes(_damaged(mutations.damaged_json if is_json else form.damage, one.read_bytes(), rng))


def _damaged(damage: Damage, raw: bytes, rng: random.Random) -> bytes:
    try:
        return damage(raw, rng)
    except (ValueError, TypeError, OverflowError, KeyError):  # what cannot be changed so is changed in bytes
        return mutations.damaged_bytes(raw, rng)


def grey() -> np.ndarray:
    return np.random.default_rng(5).normal(size=SHAPE).astype(np.float32)


def labels() -> np.ndarray:
    data = np.zeros(SHAPE, np.int8)
    data[1:3, 2:7, 2:6], data[4, 1:8, 1:7] = 1, 2
    return data


def some_rois():
    masks = [np.ones((2, 3, 3), bool), np.ones((3, 2, 4), bool)]
    columns = {"confidence_mean": [0.7, 0.9], "membranes": ["1:2", "1:3"], "status": ["kept", "predicted"]}
    return rois_from_masks([(0, 1, 1), (2, 4, 3)], masks, SHAPE, 1.5, (4.0, 5.0, 6.0), columns)


def _volume_writer(data: Callable[[], np.ndarray]) -> Callable[[Path], object]:
    return lambda path: write_volume(path, Volume(data(), 1.5, (1.0, 2.0, 3.0)))


def _read_volume(path: Path) -> None:
    from tomorois.info import inspect_file, report_lines

    whole = read_volume(path, 1.5)
    lazy = read_volume(path, 1.5, lazy=True)
    np.testing.assert_array_equal(np.asarray(lazy.data[1:3, :2]), whole.data[1:3, :2])
    inspect_voxels(path)
    report_lines(inspect_file(path))
    if path.is_file() and whole.data.dtype.kind in "iu":
        read_rois_of(path)


def read_rois_of(path: Path) -> None:
    rois = read_rois(path, None if path.suffix == ".npz" else 1.5)
    if len(rois):
        labels_from_rois(rois)
    union_mask(rois)


def _read_rois(path: Path) -> None:
    from tomorois.info import inspect_file, report_lines

    read_rois_of(path)
    report_lines(inspect_file(path))


def _make_bz2(path: Path) -> None:
    plain = path.with_suffix("")
    _volume_writer(labels)(plain)
    path.write_bytes(bz2.compress(plain.read_bytes()))
    plain.unlink()


def _damaged_bz2(raw: bytes, rng: random.Random) -> bytes:
    if rng.random() < 0.5:
        return mutations.damaged_bytes(raw, rng)
    return bz2.compress(mutations.damaged_bytes(bz2.decompress(raw), rng))


def _make_deflated_tiff(path: Path) -> None:
    import tifffile

    meta = {"axes": "ZYX", "unit": "nm", "spacing": 1.5}
    tifffile.imwrite(path, labels().astype(np.uint8), imagej=True, resolution=(0.6, 0.6), metadata=meta)
    tifffile.imwrite(path, labels().astype(np.uint8), compression="zlib", ome=True, metadata={"axes": "ZYX"})


def _make_hdf5(path: Path) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        data = file.create_dataset("labels", data=labels(), chunks=(3, 4, 4), compression="gzip")
        data.attrs["element_size_um"] = [0.0015] * 3
        data.attrs["axistags"] = json.dumps({"axes": [{"key": axis} for axis in "zyx"]})


def _make_amira(path: Path) -> None:
    z, y, x = SHAPE
    head = (
        "# AmiraMesh BINARY-LITTLE-ENDIAN 2.1\n\n"
        f'define Lattice {x} {y} {z}\n\nParameters {{\n    Units {{ Coordinates "nm" }}\n'
        f"    BoundingBox 0 {1.5 * (x - 1)} 0 {1.5 * (y - 1)} 0 {1.5 * (z - 1)},\n"
        '    CoordType "uniform"\n}}\n\n'
        "Lattice { byte Labels } @1(HxZip,%d)\n\n# Data section follows\n@1\n"
    )
    import zlib

    packed = zlib.compress(labels().astype(np.uint8).tobytes())
    path.write_bytes((head % len(packed)).encode() + packed)


def _make_zarr3(path: Path) -> None:
    import zarr

    group = zarr.open_group(path, mode="w", zarr_format=3)
    group.create_array("0", data=grey(), chunks=(4, 4, 4))
    axes = [{"name": axis, "type": "space", "unit": "nanometer"} for axis in "zyx"]
    scale = [{"type": "scale", "scale": [1.5] * 3}, {"type": "translation", "translation": [1, 2, 3]}]
    image = {"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": scale}]}
    group.attrs["ome"] = {"version": "0.5", "multiscales": [image]}


def _surface():
    from surfora.geometry.surface import SurfaceMesh, vertex_normals

    points = np.array([[0, 0, 0], [9, 0, 0], [0, 9, 0], [0, 0, 9], [9, 9, 9]], float)
    faces = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 4], [1, 4, 3], [2, 3, 4]])
    curvature = np.linspace(-0.1, 0.1, 5)
    return SurfaceMesh(points, faces, vertex_normals(points, faces), {"mean_curvature_per_nm": curvature})


def _make_surface(path: Path) -> None:
    from surfora.geometry.facts import SurfaceFacts
    from surfora.geometry.files import write_surface

    write_surface(path, _surface(), SurfaceFacts("m_OMM", "medial", "OMM", source="m.mrc", provenance="1"))


def _make_by_vtk(path: Path) -> None:
    from surfora.geometry.surface import to_polydata

    poly = to_polydata(_surface())
    if path.suffix == ".vtu":
        poly = poly.cast_to_unstructured_grid()
    poly.save(path, binary=path.name.startswith("binary"))


def _read_surface(path: Path) -> None:
    from surfora.geometry.files import read_facts, read_surface
    from surfora.geometry.surface import SurfaceMesh, vertex_areas_nm2

    surface = read_surface(path)
    read_facts(path)
    if isinstance(surface, SurfaceMesh):
        vertex_areas_nm2(surface.vertices, surface.faces)


def _read_points(path: Path) -> None:
    from surfora.geometry.files import read_points

    read_points(path, "voxel", 1.5)
    read_points(path)


XYZ = "".join(f"{x} {x * 2} {x % 3} 0 0 1\n" for x in range(7))
POINTS_CSV = "x [nm],y [nm],z [nm],ID\n" + "".join(f"{x}.5,{x * 2},{x % 3},{x}\n" for x in range(7))
STAR = (
    "data_optics\n\nloop_\n_rlnOpticsGroup #1\n_rlnTomoTiltSeriesPixelSize #2\n1 2.5\n\n"
    "data_particles\n\nloop_\n_rlnTomoName #1\n_rlnCoordinateX #2\n_rlnCoordinateY #3\n_rlnCoordinateZ #4\n"
    "_rlnOpticsGroup #5\n" + "".join(f"ts_1 {x}.5 {x * 2} {x + 3} 1\n" for x in range(6))
)


def _text(content: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(content, encoding="utf-8")


def _make_settings(path: Path) -> None:
    from surfora.pipeline import SurforaSettings
    from tomocore.settings import settings_template

    path.write_text(settings_template(SurforaSettings), encoding="utf-8")


def _read_settings(path: Path) -> None:
    from surfora.pipeline import SurforaSettings
    from tomocore.settings import load_settings

    load_settings(SurforaSettings, path, {"curvature.wavelength_nm": None})


def _make_project(folder: Path) -> None:
    from tomosurf.project import new_project

    new_project(folder)
    for name in ("tomograms", "membranes"):
        (folder / name).mkdir()
    _volume_writer(grey)(folder / "tomograms" / "t1.mrc")
    _volume_writer(labels)(folder / "membranes" / "t1__membranes.mrc")
    (folder / "model.safetensors").touch()


def _read_project(folder: Path) -> None:
    from tomosurf.project import read_project
    from tomosurf.validation import problems_of

    problems_of(read_project(folder))


ROW = {
    "name": "m_OMM", "kind": "medial", "label": "OMM", "roi": "", "source": "m.mrc", "thickness_nm": 4.0,
    "voxel_size_nm": 1.5, "orientation_rule": "none", "orientation_confidence": 0.9, "provenance": "1",
    "filled": False, "removed_pieces": 0, "removed_share": 0.0, "area_nm2": 100.5, "volume_nm3": "",
    "is_closed": True, "vertices": 5, "triangles": 6,
}  # fmt: skip
WAY = {
    "name": "m_OMM", "kind": "medial", "label": "OMM", "target": "m_ER", "target_kind": "medial",
    "target_label": "ER", "roi": "", "mean_nm": 12.5, "sd_nm": 1.5, "min_nm": 9.0,
    "median_nm": 12.0, "q25_nm": 11.0, "q75_nm": 13.0, "area_measured_nm2": 100.0,
    "contact_distance_nm": 30.0, "contact_area_nm2": 80.0,
    "contact_mean_nm": 12.0, "contact_sd_nm": 1.0,
}  # fmt: skip


def _csv(*rows: dict) -> str:
    lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
    return "\n".join(lines) + "\n"


WAYS = _csv(WAY, {**WAY, "name": "m_ER", "label": "ER", "target": "m_OMM", "target_label": "OMM"})
RUN = {
    "tool": "surfora run", "command": "surfora run m.mrc", "started": "2026-01-02T03:04:05+00:00", "id": "1",
    "inputs": [{"path": "m.mrc", "bytes": 12, "sha256": "0" * 64, "voxel_size_nm": 1.5}],
    "settings": {"clean": {"opening_nm": 0.0}}, "stages": [{"stage": "mesh", "of": "m_OMM", "seconds": 1.5}],
    "warnings": ["m_OMM: open"], "failures": {"m": "m: failed"}, "versions": {"numpy": "2"},
    "machine": "Linux", "seconds": 3.5,
}  # fmt: skip


def _make_run(folder: Path) -> None:
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps(RUN))
    (folder / "surfaces.csv").write_text(_csv(ROW))
    (folder / "distances.csv").write_text(WAYS)
    _make_surface(folder / "m_OMM.medial.vtp")


def _read_run(folder: Path) -> None:
    """All that a report reads, without its pictures, which take seconds."""
    from surfora.measures.pairs import read_measured
    from surfora.reporting.shown_tables import contact_table, direction_table, surface_table
    from surfora.reporting.tables import read_table
    from tomocore.provenance import read_record

    surfaces, ways = read_table(folder / "surfaces.csv"), read_table(folder / "distances.csv")
    if len(surfaces):
        surface_table(surfaces)
    if len(ways):
        contact_table(ways)
        direction_table(ways)
    read_record(folder / "run.json")
    if (folder / "m_OMM.medial.vtp").exists():
        read_measured(folder / "m_OMM.medial.vtp")


def _write_report(folder: Path) -> None:
    from surfora.reporting.report import write_run_report

    write_run_report(folder)


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
    from tomorois.training.data import marks_of_model

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
    from tomorois.training.train import StateInfo, _differences, _require_fitting

    tensors, values = load_training_state(path)
    info = checked(values, StateInfo, str(path))
    _differences(info.fingerprint, {"data": "0a"})
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
        _volume_writer(labels)(mask)
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

    folder = path.parent / f"{path.stem}_folder"
    folder.mkdir(exist_ok=True)
    shutil.copy(path, folder / "phantoms.json")
    _made_otherwise(folder, "contacts", PhantomSettings())


def _read_sidecar(path: Path) -> None:
    from tomorois.prediction.record import model_threshold, record_of_map

    record_of_map(path.with_suffix(".mrc")).get("model_sha256", "")
    model_threshold(path.with_suffix(".mrc"))


def _make_strokes(folder: Path) -> None:
    from tomorois.annotation.strokes import line_stroke

    folder.mkdir()
    _volume_writer(grey)(folder / "ts.mrc")
    painting = _painting(folder)
    for number in range(3):
        painting.paint(line_stroke(SHAPE, [(2.0, 3.0 + number, 4.0)], 2.0, number + 1))
    painting.undo()
    painting.journal.close()


def _painting(folder: Path):
    from tomorois.annotation.painting import Painting, painting_files

    return Painting(read_volume(folder / "ts.mrc", lazy=True), painting_files(folder / "ts.mrc", folder))


def _read_strokes(folder: Path) -> None:
    _painting(folder).journal.close()


def _make_edits(folder: Path) -> None:
    folder.mkdir()
    _make_surface(folder / "m.vtp")
    session = _edited(folder)
    for number in range(3):
        session.select(np.arange(session.count) == number)
        session.flip()
    session.undo()


def _edited(folder: Path):
    from surfora.editor.files import open_session

    return open_session([folder / "m.vtp"])


BYTES, TEXT, JSON = mutations.damaged_bytes, mutations.damaged_words, mutations.damaged_json

FORMATS = {
    "MRC": Format(_volume_writer(grey), BYTES, _read_volume, ".mrc"),
    "MRC labels": Format(_volume_writer(labels), BYTES, _read_volume, ".mrc"),
    "MRC.gz": Format(_volume_writer(labels), mutations.damaged_gzip, _read_volume, ".mrc.gz"),
    "MRC.bz2": Format(_make_bz2, _damaged_bz2, _read_volume, ".mrc.bz2"),
    "TIFF": Format(_volume_writer(grey), BYTES, _read_volume, ".tif"),
    "TIFF packed": Format(_make_deflated_tiff, BYTES, _read_volume, ".tif"),
    "HDF5": Format(_make_hdf5, BYTES, _read_volume, ".h5"),
    "Amira": Format(_make_amira, BYTES, _read_volume, ".am"),
    "OME-Zarr 0.4": Format(_volume_writer(labels), BYTES, _read_volume, ".zarr", 0.6),
    "OME-Zarr 0.5": Format(_make_zarr3, BYTES, _read_volume, ".zarr", 0.6),
    "ROI npz": Format(
        lambda path: write_rois_archive(path, some_rois()), mutations.damaged_archive, _read_rois, ".npz", 3.0
    ),
    "VTP": Format(_make_surface, BYTES, _read_surface, ".vtp", 2.0),
    "VTP text": Format(_make_surface, TEXT, _read_surface, ".vtp"),
    "PLY": Format(_make_by_vtk, TEXT, _read_surface, ".ply", 0.4),
    "PLY binary": Format(_make_surface, BYTES, _read_surface, ".ply", 0.6),
    "OBJ": Format(_make_surface, TEXT, _read_surface, ".obj", 0.4),
    "STL": Format(_make_surface, BYTES, _read_surface, ".stl", 0.3),
    "VTK legacy": Format(_make_by_vtk, TEXT, _read_surface, ".vtk", 0.4),
    "VTU": Format(_make_by_vtk, TEXT, _read_surface, ".vtu", 0.3),
    "points xyz": Format(_text(XYZ), TEXT, _read_points, ".xyz"),
    "points csv": Format(_text(POINTS_CSV), TEXT, _read_points, ".csv"),
    "points star": Format(_text(STAR), TEXT, _read_points, ".star"),
    "settings": Format(_make_settings, TEXT, _read_settings, ".toml", 2.0),
    "project": Format(_make_project, TEXT, _read_project, "", 0.3, "project.toml"),
    "run's files": Format(_make_run, TEXT, _read_run, "", 3.0),
    "run report": Format(_make_run, TEXT, _write_report, "", 0.1, "*.[jc]s*"),
    "model": Format(_make_model, mutations.damaged_safetensors, _read_model, ".safetensors", 2.0),
    "training state": Format(_make_state, mutations.damaged_safetensors, _read_state, ".safetensors"),
    "crops": Format(_text(CROPS), TEXT, _read_crops, ".csv"),
    "curve": Format(_text(CURVE), TEXT, _read_curve, ".csv"),
    "training log": Format(_text(LOG), TEXT, _read_log, ".csv"),
    "strokes": Format(_make_strokes, mutations.damaged_lines, _read_strokes, "", 0.6, "*.jsonl"),
    "edits": Format(_make_edits, mutations.damaged_lines, _edited, "", 0.6, "*.jsonl"),
    "phantoms": Format(_text(json.dumps(PHANTOMS)), JSON, _read_phantoms, ".json"),
    "sidecar": Format(_text(json.dumps(SIDECAR)), JSON, _read_sidecar, ".json"),
}
"""By the names under which the documentation tells of them."""
