"""Distances and contacts by groups of surfaces: what memory holds, what a second run measures again."""

import gc
import shutil
import weakref
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import contact_scenes
import numpy as np
import pandas as pd
import pytest

import surfora.distances_and_contacts as measuring
import surfora.reporting.report
from surfora.batch import run_masks
from surfora.distances_and_contacts import partner_groups
from surfora.geometry.facts import SurfaceFacts
from surfora.geometry.files import read_mesh, write_surface
from surfora.measures.distance_pairs import SurfaceFile, read_measured
from surfora.planning import PlannedMembrane, RunRequest, surface_of
from surfora.reporting.report import Pictures
from surfora.settings import SurforaSettings
from tomocore.files import write_json
from tomocore.page import Page
from tomocore.provenance import read_record
from tomocore.volumes.formats import write_volume
from tomocore.volumes.volume import Volume

SETTINGS = SurforaSettings()
PAIRS = (("1", "2"), ("1", "1"))
TABLES = ("surfaces", "distances", "contacts", "contact_curve")


def write_sheets(path, gap=5):
    """A mask of two parallel sheets, 32 nm wide, labels 1 and 2, voxels of 2 nm."""
    data = np.zeros((14 + gap, 20, 20), np.int16)
    data[5:7, 2:18, 2:18] = 1
    data[7 + gap : 9 + gap, 2:18, 2:18] = 2
    write_volume(path, Volume(data, 2.0))
    return path


def surface(name, label="", source="", roi=None, kind="medial"):
    return SurfaceFile(name, SurfaceFacts(name, kind, label, roi, source))


@pytest.mark.parametrize(
    ("surfaces", "pairs", "groups"),
    [
        (
            [
                surface("a_1", "1", "a"),
                surface("b_1", "1", "b"),
                surface("a_2", "2", "a"),
                surface("c", "", "c"),
            ],
            [("1", "2")],
            [["a_1", "a_2"], ["b_1"], ["c"]],
        ),
        (
            [surface("a", source="a"), surface("b", source="b"), surface("c", source="c"), surface("d")],
            [("a", "c"), ("b", "c")],
            [["a", "b", "c"], ["d"]],
        ),
        (
            [surface(f"{n}_roi{k}", n, "a", k) for k in (1, 2) for n in ("OMM", "ER")],
            None,
            [["OMM_roi1", "ER_roi1"], ["OMM_roi2", "ER_roi2"]],
        ),
        ([surface("a", kind=kind) for kind in ("medial", "isosurface", "inner")], None, [["a"] * 3]),
    ],
    ids=["labels of a mask", "masks named in pairs", "ROIs", "kinds of a membrane"],
)
def test_surfaces_are_grouped_by_what_is_measured_between_them(surfaces, pairs, groups):
    assert [[one.name for one in group] for group in partner_groups(surfaces, pairs)] == groups


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder with two masks, ``m0`` and ``m1``, and a finished run on them in ``out``."""
    folder = tmp_path_factory.mktemp("partners")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(surfora.reporting.report, "run_page", lambda *_: Page("run", "x"))
        run_masks(request_in(folder), SETTINGS)
    return folder


def request_in(folder, *names, **words):
    masks = tuple(write_sheets(folder / f"{name}.mrc") for name in names or ("m0", "m1"))
    return RunRequest(masks, folder / "out", pairs=PAIRS, **words)


@pytest.fixture
def again(finished, tmp_path, monkeypatch):
    """A copy of the finished run, whose reports have no pictures, and a list of all meshes read in it."""
    shutil.copytree(finished / "out", tmp_path / "out")
    monkeypatch.setattr(surfora.reporting.report, "run_page", lambda *_: Page("run", "x"))
    read = []
    monkeypatch.setattr(
        surfora.distances_and_contacts,
        "read_measured",
        lambda path: read.append(path.name) or read_measured(path),
    )
    return tmp_path, read


def files_in(folder):
    """The bytes of every file, but for the masks' places and the time in the record."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def tables_in(folder):
    return {name: pd.read_csv(folder / f"{name}.csv") for name in TABLES}


def test_the_meshes_of_one_group_are_in_memory_at_a_time(finished, tmp_path, monkeypatch):
    shutil.copytree(finished / "out", tmp_path / "out")
    (tmp_path / "out" / "distances.csv").unlink()  # so that all is measured again
    seen, together = [], []

    def watched(path):
        found = read_measured(path)
        seen.append((path.name.split("_")[0], weakref.ref(found.mesh.vertices)))
        together.append({mask for mask, vertices in seen if vertices() is not None})
        return found

    for module in (measuring, surfora.reporting.report):
        monkeypatch.setattr(module, "read_measured", watched)
    monkeypatch.setattr(surfora.reporting.report, "_drawn", lambda *_: Pictures())
    monkeypatch.setattr(surfora.reporting.report, "_overview", lambda *_: [])
    gc.disable()  # what is let go is let go at once, without its help
    try:
        run_masks(request_in(tmp_path), SETTINGS)
        left = [mask for mask, vertices in seen if vertices() is not None]
    finally:
        gc.enable()
    assert [mask for mask, _ in seen] == ["m0", "m0", "m1", "m1"] * 2
    assert together == [{"m0"}, {"m0"}, {"m1"}, {"m1"}] * 2
    assert not left


def test_a_run_that_finds_all_there_reads_no_mesh_for_measuring_and_writes_nothing(again):
    folder, read = again
    first = run_masks(request_in(folder), SETTINGS)  # masks lie elsewhere than those of the copied record
    before = files_in(folder / "out")
    times = {path.name: path.stat().st_mtime_ns for path in (folder / "out").iterdir()}
    read.clear()
    second = run_masks(request_in(folder), SETTINGS)
    assert not read
    assert files_in(folder / "out") == before
    assert {path.name: path.stat().st_mtime_ns for path in (folder / "out").iterdir()} == times
    assert second.report == folder / "out" / "report.html"
    assert list(second.skipped) == ["m0_1", "m0_2", "m1_1", "m1_2"]
    for table in ("surfaces", "distances", "contacts"):
        assert len(getattr(second, table)) == len(getattr(first, table)) > 0
        for one, other in zip(getattr(second, table), getattr(first, table), strict=True):
            for column, value in other.items():
                if isinstance(value, float):
                    assert one[column] == pytest.approx(value, rel=1e-5, nan_ok=True), column


def test_a_kept_surface_whose_mask_was_given_by_another_path_is_measured_to_a_new_one(again, caplog):
    folder, _ = again
    (folder / "out" / "m0_2.medial.vtp").unlink()
    given = str(read_measured(folder / "out" / "m1_1.medial.vtp").facts.source)
    outcome = run_masks(request_in(folder), SETTINGS)
    assert given != str(folder / "m1.mrc")
    assert not outcome.failed
    assert {(row["name"], row["target"]) for row in outcome.distances} == {
        (f"m{mask}_{a}", f"m{mask}_{b}") for mask in (0, 1) for a, b in ((1, 2), (2, 1))
    }
    surfaces = tables_in(folder / "out")["surfaces"]
    assert list(surfaces["source"]) == [str(folder / f"m{mask}.mrc") for mask in (0, 0, 1, 1)]
    assert "another mask" not in caplog.text


def test_a_kept_surface_of_another_mask_of_the_same_name_is_measured_to_none_of_this_one(again, caplog):
    folder, _ = again
    (folder / "out" / "m0_2.medial.vtp").unlink()
    kept = folder / "out" / "m0_1.medial.vtp"
    of_then = read_measured(kept).facts.source
    request = replace(request_in(folder, "m0"), masks=(write_sheets(folder / "m0.mrc", gap=6),))
    with_other = read_mesh(kept), replace(read_measured(kept).facts, identity="another mask")
    write_surface(kept, *with_other)
    outcome = run_masks(request, SETTINGS)
    assert f"kept, but made with other settings, ROIs or another mask ({of_then})" in caplog.text
    assert not outcome.distances
    assert "no two such surfaces" in outcome.failed["distances"]
    assert [row["source"] for row in outcome.surfaces] == [of_then, str(folder / "m0.mrc")]


def test_a_kept_surface_of_other_rois_of_the_same_number_is_not_of_the_rois_given(tmp_path):
    path, mask = tmp_path / "m_roi001.medial.vtp", tmp_path / "m.mrc"
    facts = SurfaceFacts("m_roi001", "medial", roi=1, source=str(mask), rois="old.npz", identity="made then")
    write_surface(path, contact_scenes.sheet(8.0, 8.0, 4.0), facts)
    for identity, rois in (("made then", "new.npz"), ("made now", "old.npz")):
        digest = SimpleNamespace(copy=lambda digest=identity: SimpleNamespace(hexdigest=lambda: digest))
        one = PlannedMembrane("m_roi001", "", mask, 0, 9, (path,), digest, roi=1, rois=Path("new.npz"))
        assert surface_of(one, path).facts.rois == rois


@pytest.mark.parametrize("name", ["z", "a"])
def test_a_mask_more_is_measured_alone_and_contacts_are_numbered_as_in_one_run(again, name):
    folder, read = again
    before = tables_in(folder / "out")
    names = sorted((name, "m0", "m1"))
    run_masks(request_in(folder, *names), SETTINGS)
    new = [f"{name}_1.medial.vtp", f"{name}_2.medial.vtp"]
    assert read == (new if name == "z" else sorted(new + read[2:]))  # the others only for their numbers
    after = tables_in(folder / "out")
    for table in TABLES:
        kept = after[table][~after[table]["name"].str.startswith(name)].reset_index(drop=True)
        assert len(after[table]) > len(kept)
        if table == "contacts" and name == "a":
            kept["contact"] -= len(after[table]) - len(kept)
        if table == "surfaces":
            before[table]["source"] = [str(folder / f"m{mask}.mrc") for mask in (0, 0, 1, 1)]
        pd.testing.assert_frame_equal(kept, before[table])
    assert list(after["contacts"]["contact"]) == list(range(1, 1 + len(after["contacts"])))
    for row in after["contacts"].itertuples():
        for of in (row.name, row.target):
            ids = read_mesh(folder / "out" / f"{of}.medial.vtp").data["contact_id"]
            assert (ids == row.contact).any()
            own = after["contacts"].query("name == @of or target == @of")["contact"]
            assert set(ids) <= {0, *own}


@pytest.mark.parametrize("what", ["surface", "table", "record", "pairs", "settings"])
def test_what_is_no_longer_as_the_run_left_it_is_measured_again(again, what):
    folder, read = again
    before, out = tables_in(folder / "out"), folder / "out"
    request, settings = request_in(folder), SETTINGS
    if what == "surface":
        one = read_measured(out / "m0_1.medial.vtp")
        write_surface(one.path, one.mesh.with_data(contact_id=np.zeros(len(one.mesh.vertices))), one.facts)
    elif what == "table":
        (out / "contacts.csv").write_text((out / "contacts.csv").read_text().replace("m0", "m1"))
    elif what == "record":
        (out / "run.json").write_text("{")
    elif what == "pairs":
        request = RunRequest(request.masks, out, pairs=PAIRS[:1])
    else:
        nearer = SETTINGS.distance.model_copy(update={"contact_distance_nm": 12.0})
        settings = SETTINGS.model_copy(update={"distance": nearer})
    run_masks(request, settings)
    all_four = [f"m{mask}_{label}.medial.vtp" for mask in (0, 1) for label in (1, 2)]
    assert read == (all_four[:2] if what == "surface" else all_four)
    after = tables_in(out)
    if what == "pairs":
        assert set(after["contact_curve"]["target"]) == {"m0_2", "m1_2"}
        assert set(before["contact_curve"]["target"]) == {"m0_1", "m0_2", "m1_1", "m1_2"}
    before["surfaces"]["source"] = [str(folder / f"m{mask}.mrc") for mask in (0, 0, 1, 1)]
    for name in TABLES if what not in ("pairs", "settings") else ("surfaces",):
        pd.testing.assert_frame_equal(after[name], before[name])


def test_surfaces_of_an_earlier_run_that_get_no_rows_are_told_once(again, caplog):
    folder, _ = again
    for _ in range(2):
        run_masks(request_in(folder, "m1"), SETTINGS)
        told = [one for one in caplog.messages if "tables are of this run alone" in one]
        assert len(told) == 1
        assert "without m0_1.medial.vtp, m0_2.medial.vtp of an earlier one" in told[0]
    assert set(tables_in(folder / "out")["surfaces"]["name"]) == {"m1_1", "m1_2"}


def test_warnings_of_surfaces_that_are_kept_stay_in_the_record(again):
    folder, _ = again
    out = folder / "out"
    first = read_record(out / "run.json")
    record = {
        **first,
        "warnings": [*first["warnings"], "m0_1: no leaflets", "m0_1: out/m0_1.medial.vtp: kept"],
    }
    write_json(out / "run.json", record)
    sides = [f"m{mask}_{label}: 1 of 1 components" for mask in (0, 1) for label in (1, 2)]

    def warned(*names):
        run_masks(request_in(folder, *names), SETTINGS)
        return read_record(out / "run.json")["warnings"]

    more = warned("m0", "m1", "m2")
    assert all(any(text.startswith(side) for text in more) for side in sides)
    assert [text for text in more if text.startswith("m0_1: ")][1:] == ["m0_1: no leaflets"]
    (out / "run.json").unlink()  # as a run that was stopped leaves its folder
    again_all = warned("m0", "m1")
    assert all(any(text.startswith(side) for text in again_all) for side in sides)
    assert len(again_all) == len(set(again_all)) == 4
