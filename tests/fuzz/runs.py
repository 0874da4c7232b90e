"""What runs, projects and comparisons read: settings, tables, records, lists of tomograms, locks."""

import json
from pathlib import Path

from fuzz.format import JSON, TEXT, Format, csv, text
from fuzz.surfaces import make_surface
from fuzz.volumes import grey, labels, volume_writer


def _make_settings(path: Path) -> None:
    from surfora.settings import SurforaSettings
    from tomocore.settings import settings_template

    path.write_text(settings_template(SurforaSettings), encoding="utf-8")


def _read_settings(path: Path) -> None:
    from surfora.settings import SurforaSettings
    from tomocore.settings import load_settings

    load_settings(SurforaSettings, path, {"curvature.wavelength_nm": None})


def _make_project(folder: Path) -> None:
    from tomosurf.project import new_project

    new_project(folder)
    for name in ("tomograms", "membranes"):
        (folder / name).mkdir()
    volume_writer(grey)(folder / "tomograms" / "t1.mrc")
    volume_writer(labels)(folder / "membranes" / "t1__membranes.mrc")
    (folder / "model.safetensors").touch()
    (folder / "tomograms.csv").write_text("name,condition,grid,voxel_size_nm,exclude\nt1,wt,g1,1.5,\n")
    (folder / "only.txt").write_text("# those of today\nt1\n")
    (folder / "results").mkdir()
    (folder / "results" / "run.json").write_text(json.dumps(RUN))
    (folder / "results" / "steps").mkdir()
    (folder / "results" / "steps" / "t1__confidence.json").write_text(json.dumps(STEP))


def _read_project(folder: Path) -> None:
    from tomosurf.project import read_project
    from tomosurf.status import status_of_project
    from tomosurf.validation import problems_of

    project = read_project(folder, folder / "only.txt")
    problems_of(project)
    status_of_project(project)


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


WAYS = csv(WAY, {**WAY, "name": "m_ER", "label": "ER", "target": "m_OMM", "target_label": "OMM"})
CONTACT = {
    "contact": 1, "name": "m_OMM", "kind": "medial", "label": "OMM", "target": "m_ER",
    "target_kind": "medial", "target_label": "ER", "roi": "", "contact_distance_nm": 30.0,
    "contact_area_nm2": 80.0, "target_contact_area_nm2": 75.0, "patches": 1, "target_patches": 1,
    "gap_mean_nm": 12.0, "gap_sd_nm": 1.0, "gap_min_nm": 9.0, "length_nm": 12.0, "width_nm": 8.0,
    "elongation": 1.5, "cut_by": "", "facing_deg": 170.0,
    "centre_x_nm": 3.0, "centre_y_nm": 4.0, "centre_z_nm": 5.0,
}  # fmt: skip
POINT = {
    "name": "m_OMM", "kind": "medial", "label": "OMM", "target": "m_ER", "target_kind": "medial",
    "target_label": "ER", "roi": "",
    "contact_distance_nm": 30.0, "contact_area_nm2": 80.0, "target_contact_area_nm2": 75.0, "contacts": 2,
    "is_chosen": False,
}  # fmt: skip
INTERVAL = {
    "table": "surfaces", "name": "m_OMM", "kind": "medial", "label": "OMM", "roi": "", "target": "",
    "target_kind": "", "target_label": "", "contact": "", "measure": "area_nm2", "value": 100.5,
    "low": 90.0, "high": 110.0, "spread": 5.0, "repeats": 6,
}  # fmt: skip
RUN = {
    "tool": "surfora run", "command": "surfora run m.mrc", "started": "2026-01-02T03:04:05+00:00", "id": "1",
    "inputs": [{"path": "m.mrc", "bytes": 12, "sha256": "0" * 64, "voxel_size_nm": 1.5}],
    "settings": {"clean": {"opening_nm": 0.0}}, "stages": [{"stage": "mesh", "of": "m_OMM", "seconds": 1.5}],
    "warnings": ["m_OMM: open"], "failures": {"m": "m: failed"}, "versions": {"numpy": "2"},
    "machine": "Linux", "seconds": 3.5,
}  # fmt: skip

STEP = {
    "state": "done", "version": 1, "settings": {"threshold": 0.5},
    "inputs": {"model": {"path": "model.safetensors", "bytes": 0, "mtime_ns": 1, "sha256": "0" * 64}},
    "outputs": ["confidence/t1__confidence.mrc"], "foreign": [], "replaces": False, "warnings": [],
    "seconds": 2.5,
}  # fmt: skip


def _make_run(folder: Path) -> None:
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps(RUN))
    (folder / "surfaces.csv").write_text(csv(ROW))
    (folder / "distances.csv").write_text(WAYS)
    (folder / "contacts.csv").write_text(csv(CONTACT, {**CONTACT, "contact": 2, "cut_by": "mask"}))
    (folder / "contact_curve.csv").write_text(
        csv(POINT, {**POINT, "contact_distance_nm": 40.0, "is_chosen": True})
    )
    (folder / "intervals.csv").write_text(csv(INTERVAL, {**INTERVAL, "measure": "thickness_nm"}))
    make_surface(folder / "m_OMM.medial.vtp")


def _read_run(folder: Path) -> None:
    """All that a report reads, without its pictures, which take seconds."""
    from surfora.measures.distance_pairs import read_measured
    from surfora.reporting.contact_objects import contact_object_table, contact_sentences
    from surfora.reporting.interval_page import _worded, interval_table
    from surfora.reporting.shown_tables import contact_table, direction_table, surface_table
    from surfora.reporting.tables import read_table
    from tomocore.contract import naming
    from tomocore.provenance import read_record

    surfaces, ways = read_table(folder / "surfaces.csv"), read_table(folder / "distances.csv")
    if len(surfaces):
        surface_table(surfaces)
    if len(ways):
        contact_table(ways)
        direction_table(ways)
    contacts, curve = read_table(folder / "contacts.csv"), read_table(folder / "contact_curve.csv")
    if len(contacts):
        contact_object_table(contacts)
    if len(curve):
        with naming(folder):
            contact_sentences(contacts, curve)
    intervals = read_table(folder / "intervals.csv")
    if len(intervals):
        interval_table(_worded(intervals))
    read_record(folder / "run.json")
    if (folder / "m_OMM.medial.vtp").exists():
        read_measured(folder / "m_OMM.medial.vtp")


def _write_report(folder: Path) -> None:
    from surfora.reporting.report import write_run_report

    write_run_report(folder)


def _make_comparison(folder: Path) -> None:
    """Tables of four tomograms of two conditions."""
    folder.mkdir()
    names = [f"{condition}_{number}" for condition in ("wt", "ko") for number in (1, 2)]
    (folder / "tomograms.csv").write_text(
        csv(*({"name": name, "condition": name[:2], "grid": f"g{name[-1]}", "exclude": ""} for name in names))
    )
    for number, name in enumerate(names):
        own = {"tomogram": name, "source": f"{name}.mrc"}
        for kind, row in (("contacts", CONTACT), ("contact_curve", POINT), ("surfaces", ROW)):
            shifted = {
                key: value + number if isinstance(value, float) else value for key, value in row.items()
            }
            table = folder / f"{kind}.csv"
            rows = csv({**shifted, **own}).splitlines(keepends=True)
            table.write_text(table.read_text() + rows[1] if table.exists() else "".join(rows))
    (folder / "rois.csv").write_text(csv(*({"id": 1, "tomogram": name, "volume_nm3": 9.5} for name in names)))


def _read_comparison(folder: Path) -> None:
    """All of a comparison but for its figures, which take seconds."""
    from tomosurf.statistics.study import findings, study_of
    from tomosurf.statistics.tables import read_tables

    findings(study_of(read_tables([folder], folder / "tomograms.csv", "condition")))


def _read_list(path: Path) -> None:
    from tomosurf.statistics.tables import has_conditions, read_tomograms
    from tomosurf.tomogram_table import read_tomogram_table

    read_tomogram_table(path, ["t1", "t2"])
    if has_conditions(path, "condition"):
        read_tomograms(path, "condition")


def _make_locked(folder: Path) -> None:
    """A folder of which a process that is no more holds the lock."""
    from dataclasses import asdict, replace

    from tomocore.machine import this_process

    mark = asdict(replace(this_process(), number=2**22 - 1, start="12345"))
    held = {"mark": mark, "machine": "node7", "command": "surfora run", "since": "2026-01-02 03:04:05"}
    folder.mkdir()
    (folder / ".run.lock").write_text(json.dumps(held))


def _read_locked(folder: Path) -> None:
    from tomocore.locks import one_run

    with one_run(folder):
        pass


def _make_copick(folder: Path) -> None:
    """A copick project of one run with a tomogram and a segmentation, whose volumes are not opened."""
    run = folder / "data" / "ExperimentRuns" / "TS_001"
    (run / "VoxelSpacing10.000" / "wbp.zarr").mkdir(parents=True)
    (run / "Segmentations" / "10.000_me_0_membrane.zarr").mkdir(parents=True)
    config = {
        "name": "x", "config_type": "filesystem", "overlay_root": "local://data", "static_root": "local://data",
        "pickable_objects": [{"name": "membrane", "is_particle": False, "label": 1, "color": [1, 2, 3, 4]}],
    }  # fmt: skip
    (folder / "copick.json").write_text(json.dumps(config))


def _read_copick(folder: Path) -> None:
    from surfora.export.copick import segmentations, tomograms

    assert list(tomograms(folder / "copick.json")) == ["TS_001"]
    segmentations(folder / "copick.json", "membrane")


def _make_rounds(folder: Path) -> None:
    folder.mkdir()
    told = {"models": [{"sha256": "a", "name": "m", "told": "t"}], "rois": {"t1": {"h": "a"}}}
    (folder / "rounds.json").write_text(json.dumps(told))


def _read_rounds(folder: Path) -> None:
    from types import SimpleNamespace

    from tomosurf.rounds import read_ledger

    read_ledger(SimpleNamespace(output=folder))  # type: ignore[arg-type]


RUNS = {
    "copick project": Format(_make_copick, JSON, _read_copick, "", 0.5, "copick.json"),
    "rounds": Format(_make_rounds, JSON, _read_rounds, "", 0.3, "rounds.json"),
    "settings": Format(_make_settings, TEXT, _read_settings, ".toml", 2.0),
    "project": Format(_make_project, TEXT, _read_project, "", 0.6, "*.toml *.csv *.txt *.json"),
    "list of tomograms": Format(
        text("name;condition;voxel_size_nm\nt1;wt;1.5\nt2;ko;\n"), TEXT, _read_list, ".csv", 0.5
    ),
    "run's files": Format(_make_run, TEXT, _read_run, "", 3.0),
    "run report": Format(_make_run, TEXT, _write_report, "", 0.1, "*.csv *.json"),
    "comparison": Format(_make_comparison, TEXT, _read_comparison, "", 0.7, "*.csv"),
    "lock": Format(_make_locked, JSON, _read_locked, "", 0.3, ".run.lock"),
}
