"""`surfora` as a user runs it: the whole sequence, its files and arrays, bad input, killing, resuming."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import pyvista as pv
import shapes
from command_line import refusal_of, run_command

import surfora.batch
from surfora.batch import RunOutcome
from surfora.geometry.files import read_facts, read_mesh, read_points
from surfora.geometry.surface import face_areas_nm2
from surfora.reporting.columns import COLUMNS
from surfora.reporting.contact_columns import CURVE_COLUMNS, OBJECT_COLUMNS
from tomocore.volumes.formats import write_volume
from tomocore.volumes.volume import Volume

pytestmark = pytest.mark.slow

EDGE_NM = 1.25
ARRAYS = {
    "mean_curvature_per_nm",
    "gaussian_curvature_per_nm2",
    "k1_per_nm",
    "k2_per_nm",
    "curvature_radius_nm",
    "curvature_confidence",
    "boundary_distance_nm",
    "roughness_nm",
}


def concentric_spheres(inner_nm=14.0, outer_nm=26.0):
    """Labels 1 and 2: spheres about the same centre, their mid-surfaces 12 nm apart."""
    reach = outer_nm + 5
    axis = np.arange(-reach, reach, EDGE_NM)
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    radius = np.sqrt(z**2 + y**2 + x**2)
    labels = np.zeros(radius.shape, np.int16)
    labels[np.abs(radius - inner_nm) <= 2.0] = 1
    labels[np.abs(radius - outer_nm) <= 2.0] = 2
    return Volume(labels, EDGE_NM, (100.0, -50.0, 20.0))


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    path = tmp_path_factory.mktemp("labelled") / "spheres.mrc"
    write_volume(path, concentric_spheres())
    return path


@pytest.fixture(scope="module")
def finished(labelled):
    """A finished run on the labelled mask: its folder and what the command said."""
    folder = labelled.parent / "out"
    result = run_command(
        "surfora", "run", labelled, "--labels", "1=IN,2=OUT", "--distances", "IN:OUT", "-o", folder
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return folder, result


def test_files_of_the_contract(finished):
    folder, result = finished
    names = {path.name for path in folder.iterdir()}
    for label in ("IN", "OUT"):
        assert {f"spheres_{label}.medial.points.vtp", f"spheres_{label}.medial.vtp"} <= names
    assert {"surfaces.csv", "distances.csv", "run.json", "report.html"} <= names
    assert not [name for name in names if name.startswith(".")]
    assert "report:" in result.stdout
    assert "next:" in result.stdout


def test_arrays_units_and_sign_of_the_contract(finished):
    folder, _ = finished
    mesh = read_mesh(folder / "spheres_IN.medial.vtp")
    assert set(mesh.data) >= ARRAYS | {"distance_to_spheres_OUT_nm"}
    path = folder / "spheres_IN.medial.vtp"
    assert pv.read(path).field_data["units"][0] == "nm"
    assert read_facts(path).provenance == json.loads((folder / "run.json").read_text())["id"]
    assert read_points(folder / "spheres_IN.medial.points.vtp").normals is not None
    assert np.median(mesh.data["mean_curvature_per_nm"]) == pytest.approx(1 / 14, rel=0.03)
    np.testing.assert_allclose(mesh.vertices.mean(axis=0), [100 + 30, -50 + 30, 20 + 30], atol=1.5)


def test_tables_say_what_was_measured(finished):
    folder, _ = finished
    surfaces = pd.read_csv(folder / "surfaces.csv").set_index("label")
    assert surfaces.loc["OUT", "area_nm2"] == pytest.approx(4 * np.pi * 26**2, rel=0.02)
    assert surfaces.loc["OUT", "volume_nm3"] == pytest.approx(4 / 3 * np.pi * 26**3, rel=0.03)
    assert surfaces["is_closed"].all()
    distances = pd.read_csv(folder / "distances.csv").set_index("label")
    assert distances.loc["IN", "median_nm"] == pytest.approx(12, abs=0.2)
    assert distances.loc["OUT", "median_nm"] == pytest.approx(12, abs=0.2)


@pytest.fixture(scope="module")
def both(labelled):
    """Folder of a run on middle and leaflets of the labelled mask."""
    folder = labelled.parent / "both"
    words = ("run", labelled, "--labels", "1=IN,2=OUT", "--distances", "IN:OUT", "--surface", "both")
    result = run_command("surfora", *words, "--jobs", "1", "-o", folder)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "warning" not in result.stdout + result.stderr
    return folder


def test_leaflets_are_measured_like_the_middle(both):
    surfaces = pd.read_csv(both / "surfaces.csv").set_index(["label", "kind"])
    for label, radius_nm in (("IN", 14.0), ("OUT", 26.0)):
        for kind, at_nm in (("inner", radius_nm - 2), ("medial", radius_nm), ("outer", radius_nm + 2)):
            row = surfaces.loc[(label, kind)]
            assert row["area_nm2"] == pytest.approx(4 * np.pi * at_nm**2, rel=0.04)
            assert row["mean_curvature_median_per_nm"] == pytest.approx(1 / at_nm, rel=0.04)
            mesh = read_mesh(both / f"spheres_{label}.{kind}.vtp")
            assert set(mesh.data) >= (ARRAYS if kind == "medial" else ARRAYS - {"roughness_nm"})
        assert surfaces.loc[(label, "outer"), "bilayer_thickness_median_nm"] == pytest.approx(4, abs=0.2)
        assert (both / f"spheres_{label}.proxy.vtp").exists()
    assert np.isnan(surfaces.loc[("IN", "isosurface"), "mean_curvature_median_per_nm"])


def test_distances_run_from_middle_to_middle_and_from_leaflet_to_face(both):
    distances = pd.read_csv(both / "distances.csv").set_index(["label", "kind"])["median_nm"]
    assert distances[("IN", "medial")] == pytest.approx(12, abs=0.2)
    assert distances[("IN", "outer")] == pytest.approx(8, abs=0.3)
    assert distances[("IN", "inner")] == pytest.approx(12, abs=0.3)
    assert distances[("OUT", "inner")] == pytest.approx(8, abs=0.3)
    assert "distance_to_spheres_OUT_nm" in read_mesh(both / "spheres_IN.outer.vtp").data


def test_tables_tell_what_the_wedge_hides(both):
    row = pd.read_csv(both / "surfaces.csv").set_index(["label", "kind"]).loc[("OUT", "medial")]
    assert row["measured_area_share"] == pytest.approx(60 / 90, abs=0.03)  # of a sphere at ±60°
    assert row["unsupported_area_share"] == 0
    assert row["area_with_evidence_nm2"] == pytest.approx(row["area_nm2"] * 2 / 3, rel=0.05)
    assert row["mean_curvature_median_with_evidence_per_nm"] == pytest.approx(1 / 26, rel=0.03)
    distances = pd.read_csv(both / "distances.csv").set_index(["label", "kind"]).loc[("OUT", "medial")]
    assert distances["median_with_evidence_nm"] == pytest.approx(12, abs=0.2)


def test_report_is_one_file_that_loads_nothing(finished):
    folder, _ = finished
    html = (folder / "report.html").read_text()
    assert html.count("data:image/png;base64,") >= 6
    assert "http://" not in html
    assert "https://" not in html
    assert 'title="spheres_IN.medial"' in html
    assert "IN and OUT" in html
    assert "Where they lie" in html
    assert "close is bright" in html
    area_um2 = pd.read_csv(folder / "surfaces.csv")["area_nm2"].sum() / 1e6
    assert f"<b>{area_um2:.3g} µm²</b>area of all" in html


def test_contacts_of_a_run_are_numbered_on_both_membranes(both):
    contacts = pd.read_csv(both / "contacts.csv")
    assert len(contacts) == 1
    row = contacts.iloc[0]
    assert (row["name"], row["target"], row["kind"]) == ("spheres_IN", "spheres_OUT", "medial")
    assert row["contact_area_nm2"] == pytest.approx(4 * np.pi * 14**2, rel=0.04)
    assert row["target_contact_area_nm2"] == pytest.approx(4 * np.pi * 26**2, rel=0.04)
    assert row["gap_mean_nm"] == pytest.approx(12, abs=0.3)
    assert row["mean_curvature_inside_per_nm"] == pytest.approx(1 / 14, rel=0.04)
    assert row["target_bilayer_thickness_inside_nm"] == pytest.approx(4, abs=0.3)
    assert row["facing_deg"] < 10
    assert row["normal_miss_share"] == pytest.approx(0, abs=0.01)
    for label in ("IN", "OUT"):
        assert (read_mesh(both / f"spheres_{label}.medial.vtp").data["contact_id"] == 1).all()
    assert "Contacts one by one" in (both / "report.html").read_text()


def test_every_column_of_the_tables_has_words_a_meaning_and_a_place(both):
    columns = {"surfaces.csv": COLUMNS, "distances.csv": COLUMNS}
    columns |= {"contacts.csv": OBJECT_COLUMNS, "contact_curve.csv": CURVE_COLUMNS}
    for name, own in columns.items():
        keys = list(pd.read_csv(both / name))
        known = [column.key for column in own if column.key in keys]
        assert keys == known  # a new column needs an entry in surfora.reporting
    assert all(column.heading and column.meaning for own in columns.values() for column in own)


def test_a_second_run_keeps_everything(labelled, finished):
    folder, _ = finished
    before = (folder / "spheres_IN.medial.points.vtp").stat().st_mtime_ns
    words = ("run", labelled, "--labels", "1=IN,2=OUT", "--distances", "IN:OUT", "-o", folder)
    result = run_command("surfora", *words, "--jobs", "1")
    assert result.returncode == 0, result.stderr
    assert "skipped spheres_IN" in result.stdout
    assert (folder / "spheres_IN.medial.points.vtp").stat().st_mtime_ns == before


def test_a_stage_by_hand_gives_the_same_area(tmp_path):
    shape = shapes.open_sphere(radius_nm=20.0)
    mask, origin_nm = shape.voxelise(EDGE_NM, 4.0)
    write_volume(tmp_path / "mask.mrc", Volume(mask, EDGE_NM, origin_nm))
    steps = [
        ("clean", "mask.mrc", "-o", "clean.mrc"),
        ("medial", "clean.mrc", "-o", "points.vtp"),
        ("orient", "points.vtp", "-o", "oriented.vtp"),
        ("mesh", "oriented.vtp", "--mask", "clean.mrc", "-o", "mesh.vtp"),
        ("smooth", "mesh.vtp", "-o", "smooth.vtp"),
        ("curvature", "smooth.vtp", "-o", "curved.vtp"),
        ("roughness", "curved.vtp", "--voxel-size", EDGE_NM, "-o", "rough.vtp"),
        ("wedge", "rough.vtp", "--mask", "clean.mrc", "-o", "judged.vtp"),
        ("isosurface", "clean.mrc", "-o", "boundary.vtp"),
        ("proxy", "smooth.vtp", "-o", "proxy.vtp"),
        ("split", "boundary.vtp", "--medial", "smooth.vtp", "--proxy", "proxy.vtp", "-o", "leaflet"),
    ]
    for step in steps:
        result = run_command("surfora", *step, cwd=tmp_path)
        assert result.returncode == 0, result.stderr
    mesh = read_mesh(tmp_path / "rough.vtp")
    assert set(mesh.data) >= ARRAYS
    run_command("surfora", "run", "clean.mrc", "-o", "out", cwd=tmp_path)
    table = pd.read_csv(tmp_path / "out" / "surfaces.csv")
    assert table.loc[0, "area_nm2"] == pytest.approx(shape.area_nm2, rel=0.06)
    boundary = read_mesh(tmp_path / "boundary.vtp")
    rim_nm2 = 4.0 * table.loc[0, "boundary_length_nm"]
    both_sides = face_areas_nm2(boundary.vertices, boundary.faces).sum() - rim_nm2
    assert both_sides == pytest.approx(2 * shape.area_nm2, rel=0.1)
    assert set(np.unique(read_mesh(tmp_path / "judged.vtp").data["evidence"])) == {0, 1}
    for side in ("inner", "outer"):
        leaflet = read_mesh(tmp_path / f"leaflet.{side}.vtp")
        factor = ((20 + (2 if side == "outer" else -2)) / 20) ** 2
        area_nm2 = face_areas_nm2(leaflet.vertices, leaflet.faces).sum()
        assert 0.85 < area_nm2 / (factor * shape.area_nm2) < 1.02  # less the rounded edge of the mask
        assert np.isfinite(leaflet.data["bilayer_thickness_nm"]).any()
    whole = read_mesh(tmp_path / "out" / "clean.medial.vtp")
    np.testing.assert_allclose(whole.vertices, mesh.vertices)


@pytest.fixture
def bad_inputs(tmp_path):
    """One file for every way in which a mask cannot be used."""
    rng = np.random.default_rng(0)
    good = Volume((rng.random((30, 30, 30)) > 0.5).astype(np.float32), EDGE_NM)
    write_volume(tmp_path / "good.mrc", good)
    whole = (tmp_path / "good.mrc").read_bytes()
    (tmp_path / "truncated.mrc").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.mrc").write_text("These are not voxels. " * 200)
    write_volume(tmp_path / "empty.mrc", good.with_data(np.zeros((30, 30, 30), np.int8)))
    single = np.zeros((30, 30, 30), np.int8)
    single[15, 15, 15] = 1
    write_volume(tmp_path / "single.mrc", good.with_data(single))
    write_volume(tmp_path / "nan.mrc", good.with_data(np.full((30, 30, 30), np.nan, np.float32)))
    return tmp_path


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("missing.mrc", "no such file"),
        ("truncated.mrc", "truncated"),
        ("text.mrc", "not an MRC file"),
        ("empty.mrc", "empty"),
        ("single.mrc", "single"),
        ("nan.mrc", "NaN"),
    ],
)
def test_bad_masks_are_refused_in_one_line(bad_inputs, name, reason):
    line = refusal_of(run_command("surfora", "run", bad_inputs / name, "-o", bad_inputs / "out"))
    assert reason in line
    assert name.removesuffix(".mrc") in line
    assert not (bad_inputs / "out").exists()


@pytest.mark.parametrize("option", ["--distances", "--inside", "--lumen"])
def test_names_that_no_membrane_has_are_refused_before_work_starts(labelled, tmp_path, option):
    value = "MITO=1,2,3" if option == "--lumen" else "IN:MITO"
    words = ("run", labelled, "--labels", "1=IN,2=OUT", option, value, "-o", tmp_path / "out")
    line = refusal_of(run_command("surfora", *words))
    assert f"{option} " in line
    assert "MITO" in line
    assert "there are IN, OUT" in line
    assert not (tmp_path / "out").exists()


def test_a_pair_that_nowhere_lies_together_leaves_the_others_measured(labelled, tmp_path):
    words = ("run", labelled, "--labels", "1=IN,2=OUT,3=ER", "--distances", "IN:OUT", "OUT:ER")
    result = run_command("surfora", *words, "--jobs", "2", "-o", tmp_path)
    assert "--distances OUT:ER: no two such surfaces of one mask and ROI; there are IN, OUT" in refusal_of(
        result
    )
    assert set(pd.read_csv(tmp_path / "distances.csv")["label"]) == {"IN", "OUT"}


def test_warnings_of_worker_processes_are_said_once(tmp_path, monkeypatch):
    """Two flat sheets, each measured in a process of its own, whose sides nothing tells."""
    labels = np.zeros((34, 34, 34), np.int16)
    labels[8:11, 4:30, 4:30], labels[22:25, 4:30, 4:30] = 1, 2
    write_volume(tmp_path / "sheets.mrc", Volume(labels, EDGE_NM))
    monkeypatch.setattr(surfora.batch, "VOXELS_OF_A_PROCESS", 1)
    result = run_command("surfora", "run", tmp_path / "sheets.mrc", "--jobs", "2", "-o", tmp_path / "out")
    assert result.returncode == 0, result.stderr
    said = [line for line in result.stderr.splitlines() if line.startswith("warning sheets_")]
    kept = json.loads((tmp_path / "out" / "run.json").read_text())["warnings"]
    assert len(said) == len(kept) == 2
    assert sorted(line.removeprefix("warning ") for line in said) == sorted(kept)


def test_a_bad_mask_does_not_stop_the_others(bad_inputs, labelled):
    result = run_command(
        "surfora", "run", bad_inputs / "missing.mrc", labelled, "--labels", "1=IN", "-o", bad_inputs / "out"
    )
    assert result.returncode == 1
    assert (bad_inputs / "out" / "spheres_IN.medial.vtp").exists()
    assert "missing.mrc" in (bad_inputs / "out" / "report.html").read_text()


def test_files_beside_masks_are_taken_from_folders_and_patterns(tmp_path, monkeypatch):
    names = ("t1_seg.mrc", "t2_seg.mrc"), ("t1__rois.npz", "t2__rois.npz"), ("t1.rec", "t2.rec")
    folders = [tmp_path / name for name in ("masks", "rois", "tomograms")]
    for folder, inside in zip(folders, names, strict=True):
        folder.mkdir()
        for name in inside:
            (folder / name).touch()
    asked = []
    monkeypatch.setattr(
        "surfora.batch.run_masks", lambda request, *rest: asked.append(request) or RunOutcome()
    )
    masks, rois, tomograms = folders
    for given in (rois, rois / "*.npz"):
        words = ("surfora", "run", masks, "--rois", given, "--tomogram", tomograms, "-o", tmp_path / "out")
        result = run_command(*words)
        assert result.returncode == 0, result.stderr
    for request in asked:
        assert request.rois == (rois / "t1__rois.npz", rois / "t2__rois.npz")
        assert request.tomograms == (tomograms / "t1.rec", tomograms / "t2.rec")
    assert len(asked) == 2


def test_a_scene_is_made_of_what_can_be_read(finished, tmp_path):
    """One file that is no surface is told, and the others come together."""
    folder, _ = finished
    files = [*sorted(folder.glob("*.medial.vtp")), folder / "run.json"]
    result = run_command("surfora", "export", *files, "--for", "blender", "-o", tmp_path)
    assert result.returncode == 1
    assert "run.json: not a surface file" in result.stderr
    assert list(tmp_path.glob("*.glb"))


def test_the_report_of_a_run_may_be_asked_for_by_any_of_its_files(finished):
    folder, _ = finished
    result = run_command("surfora", "report", folder / "run.json")
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip().endswith(str(folder / "report.html"))


def test_unknown_setting(labelled, tmp_path):
    (tmp_path / "s.toml").write_text("[medial]\nradious = 3\n")
    line = refusal_of(
        run_command("surfora", "run", labelled, "-o", tmp_path / "out", "-s", tmp_path / "s.toml")
    )
    assert "medial.radious" in line
    assert not (tmp_path / "out").exists()


def test_output_folder_that_cannot_be_written(labelled, tmp_path):
    (tmp_path / "file").touch()
    line = refusal_of(run_command("surfora", "run", labelled, "-o", tmp_path / "file" / "out"))
    assert "cannot write there" in line


def test_two_rules_for_one_side_are_refused(tmp_path):
    words = ("orient", "points.vtp", "--lumen", "1,2,3", "--toward", "other.vtp", "-o", tmp_path / "out.vtp")
    assert "give one of them" in refusal_of(run_command("surfora", *words, cwd=tmp_path))


def test_wrong_usage_is_two(labelled):
    assert run_command("surfora", "run", labelled).returncode == 2
    assert run_command("surfora", "rnu").returncode == 2


def test_the_printed_settings_are_the_defaults(labelled, tmp_path):
    printed = run_command("surfora", "settings")
    assert printed.returncode == 0
    (tmp_path / "s.toml").write_text(printed.stdout)
    from surfora.settings import SurforaSettings
    from tomocore.settings import load_settings

    assert load_settings(SurforaSettings, tmp_path / "s.toml") == SurforaSettings()


def test_starts_without_torch(tmp_path):
    code = (
        "import sys; sys.modules['torch'] = None; sys.argv = ['surfora', '--help'];"
        "from surfora.cli.app import main; main()"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert result.returncode == 0
    assert "run" in result.stdout


def test_a_killed_run_leaves_no_half_file_and_a_second_one_finishes(labelled, tmp_path):
    folder = tmp_path / "out"
    words = ["run", str(labelled), "--labels", "1=IN,2=OUT", "--jobs", "1", "-o", str(folder)]
    process = subprocess.Popen(
        [str(Path(sys.executable).parent / "surfora"), *words],
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    first = folder / "spheres_IN.medial.vtp"
    deadline = time.monotonic() + 240
    while not first.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert first.exists()
    assert not (folder / "report.html").exists()
    made = first.stat().st_mtime_ns
    for path in folder.glob("[!.]*.vtp"):
        read_points(path)
    result = run_command("surfora", *words)
    assert result.returncode == 0, result.stderr
    assert first.stat().st_mtime_ns == made
    assert (folder / "spheres_OUT.medial.vtp").exists()
    assert (folder / "report.html").exists()
