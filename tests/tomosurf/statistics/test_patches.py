"""Random patches have the contact's area, lie outside of all contacts, and are like it if nothing differs."""

import numpy as np
import pandas as pd
import pytest
import shapes
from command_line import refusal_of, run_command
from simulated_tables import simulated_tables, write_tables

from surfora.geometry.facts import SurfaceFacts
from surfora.geometry.files import write_surface
from surfora.geometry.surface import SurfaceMesh, vertex_areas_nm2
from tomocore.page import Page
from tomosurf.statistics.files import CompareRequest
from tomosurf.statistics.patches import (
    contact_patches,
    patch_about,
    patch_table,
    patch_value,
    random_patches,
    remainder_of,
)
from tomosurf.statistics.report_section import compared_project
from tomosurf.statistics.settings import CompareSettings

EDGE_NM = 2.0


def mesh_of(shape):
    return SurfaceMesh(*shape.mesh(EDGE_NM))


def disc(mesh, centre, radius_nm):
    """Numbers (n,) that are 1 within a distance of a vertex."""
    return (np.linalg.norm(mesh.vertices - mesh.vertices[centre], axis=1) < radius_nm).astype(np.int64)


@pytest.fixture(scope="module")
def sphere():
    return mesh_of(shapes.sphere(40.0))


def test_a_patch_on_a_sheet_is_a_disc_of_the_area_asked_for():
    sheet = shapes.flat_sheet(90.0, 80.0)
    mesh = mesh_of(sheet)
    rest = remainder_of(mesh, np.zeros(len(mesh.vertices), np.int64))
    source = int(np.argmin(np.linalg.norm(mesh.vertices - sheet.centre_nm, axis=1)))
    members, weights = patch_about(rest, source, 900.0)
    assert weights.sum() == pytest.approx(900.0)
    assert (weights > 0).all()
    distances = np.linalg.norm(rest.mesh.vertices[members] - rest.mesh.vertices[source], axis=1)
    assert distances.max() == pytest.approx(np.sqrt(900 / np.pi), abs=EDGE_NM)
    along = (rest.mesh.vertices - sheet.centre_nm) @ sheet.rotation[:, 0]
    assert patch_value(along, members, weights) == pytest.approx(along[source], abs=0.3)


def test_what_is_too_large_for_a_piece_of_surface_is_no_patch():
    mesh = mesh_of(shapes.flat_sheet(30.0, 30.0))
    rest = remainder_of(mesh, np.zeros(len(mesh.vertices), np.int64))
    assert patch_about(rest, 0, 880.0) is not None
    assert patch_about(rest, 0, 930.0) is None


def test_patches_lie_outside_of_all_contacts(sphere):
    ids = disc(sphere, 0, 25.0) + 2 * disc(sphere, len(sphere.vertices) - 1, 20.0) * (
        disc(sphere, 0, 25.0) == 0
    )
    marked = sphere.with_data(inside=(ids > 0).astype(float))
    rest = remainder_of(marked, ids)
    patches = list(random_patches(rest, 400.0, 30, np.random.default_rng(0)))
    assert len(patches) == 30
    assert all(rest.mesh.data["inside"][members].max() == 0 for members, _ in patches)


def test_every_place_is_as_likely_as_its_area(sphere):
    rest = remainder_of(sphere, np.zeros(len(sphere.vertices), np.int64))
    centres = [
        np.average(rest.mesh.vertices[m], axis=0, weights=w)
        for m, w in random_patches(rest, 60.0, 400, np.random.default_rng(1))
    ]
    middle = sphere.vertices.mean(axis=0)
    assert np.abs(np.mean(centres, axis=0) - middle).max() < 4 * 40 / np.sqrt(3 * 400)


def test_a_planted_difference_has_the_highest_rank_and_its_size(sphere):
    ids = disc(sphere, 5, 15.0)
    values = np.random.default_rng(2).normal(0, 0.5, len(ids)) + 2.0 * (ids == 1)
    mesh = sphere.with_data(roughness_nm=values)
    (row,) = contact_patches(mesh, ids, 100, np.random.default_rng(0))
    assert row["roughness_nm_rank"] == 1.0
    assert row["roughness_nm_contact"] - row["roughness_nm_random"] == pytest.approx(2.0, abs=0.1)
    areas = vertex_areas_nm2(mesh.vertices, mesh.faces)
    assert row["area_nm2"] == pytest.approx(areas[ids == 1].sum())
    assert row["patches"] == 100


def test_contacts_anywhere_have_any_rank(sphere):
    """A smooth field that knows nothing of contacts: ranks are spread over 0 to 1."""
    rng = np.random.default_rng(3)
    ranks = []
    for _ in range(60):
        way = rng.normal(size=3)
        mesh = sphere.with_data(roughness_nm=np.sin(sphere.vertices @ way / 20.0))
        ids = disc(sphere, int(rng.integers(len(sphere.vertices))), 12.0)
        (row,) = contact_patches(mesh, ids, 40, rng)
        ranks.append(row["roughness_nm_rank"])
    assert np.mean(ranks) == pytest.approx(0.5, abs=0.13)
    assert np.std(ranks) == pytest.approx(np.sqrt(1 / 12), abs=0.07)


def test_contacts_that_leave_too_little_and_values_that_are_missing(sphere):
    large = disc(sphere, 0, 70.0)
    values = np.where(large > 0, 1.0, np.nan)
    (row,) = contact_patches(sphere.with_data(roughness_nm=values), large, 30, np.random.default_rng(0))
    assert row["patches"] < 20
    assert np.isnan(row["roughness_nm_rank"])
    everywhere = np.ones(len(sphere.vertices), np.int64)
    (row,) = contact_patches(sphere.with_data(roughness_nm=values), everywhere, 30, np.random.default_rng(0))
    assert row["patches"] == 0


def write_meshes(folder, sphere, more=0.0, seed=0):
    """A mesh a tomogram with two contacts, rougher there by ``more``."""
    rng = np.random.default_rng(seed)
    for tomogram in sorted((folder / "surfaces").iterdir()):
        far = int(np.argmax(np.linalg.norm(sphere.vertices - sphere.vertices[0], axis=1)))
        ids = disc(sphere, 0, 14.0) + 2 * disc(sphere, far, 12.0)
        values = rng.normal(0.3, 0.05, len(ids)) + more * (ids > 0)
        mesh = sphere.with_data(contact_id=ids.astype(np.int32), roughness_nm=values)
        facts = SurfaceFacts(name=f"{tomogram.name}__membranes_OMM", kind="medial", label="OMM")
        write_surface(tomogram / f"{facts.name}.medial.vtp", mesh, facts)


@pytest.mark.slow
def test_from_meshes_to_the_test_over_tomograms(tmp_path, sphere):
    folder = write_tables(tmp_path, simulated_tables(4), of_tomograms=True)
    write_meshes(folder, sphere, more=0.1)
    words = ("compare", folder, "--tomograms", folder / "tomograms.csv", "-o", folder / "out")
    result = run_command("tomosurf", *words, "--patches", "25", "--measures", "gap_mean_nm")
    assert result.returncode == 0, result.stderr
    table = pd.read_csv(folder / "out" / "comparisons.csv")
    rows = table[(table["table"] == "patches") & (table["measure"] == "roughness_nm_contact")]
    assert rows["condition"].tolist() == ["wt", "ko"]
    assert rows["first"].tolist() == ["random patches"] * 2
    assert rows["difference"].tolist() == pytest.approx([0.1, 0.1], abs=0.01)
    patches = pd.read_csv(folder / "out" / "patches.csv")
    assert len(patches) == 16
    assert set(patches["tomogram"]) == set(pd.read_csv(folder / "tomograms.csv")["name"])
    assert (folder / "out" / "figures" / "patches_roughness_nm_ranks.pdf").exists()


@pytest.mark.slow
def test_in_a_report_patches_are_a_section_and_some_tomograms_count_where_these_are_named(
    tmp_path, sphere, monkeypatch
):
    monkeypatch.setattr("tomosurf.statistics.files.write_figure", lambda *_: None)  # which take longest
    monkeypatch.setattr("tomosurf.statistics.files.comparison_page", lambda *_: Page("", ""))
    folder = write_tables(tmp_path, simulated_tables(3), of_tomograms=True)
    write_meshes(folder, sphere, more=0.1)
    facts = SurfaceFacts(name="wt_01__membranes_IMM", kind="medial", label="IMM")
    no_room = sphere.with_data(contact_id=np.ones(len(sphere.vertices), np.int32))
    write_surface(folder / "surfaces" / "wt_01" / f"{facts.name}.medial.vtp", no_room, facts)
    found = compared_project(
        CompareRequest(
            (folder / "surfaces",),
            folder / "comparison",
            folder / "tomograms.csv",
            CompareSettings(measures=("gap_mean_nm",), patches=25),
            only=("wt_01", "wt_02", "ko_01", "ko_02"),
        )
    )
    section = next(one for one in found.sections if one.title == "Contacts and random patches")
    assert len(section.figures) == 2  # contacts beside patches within tomograms, and their ranks
    rows = [row for row in found.rows if row["table"] == "patches" and row["where"] == "OMM"]
    assert [(row["condition"], row["tomograms_first"]) for row in rows] == [("wt", 2), ("ko", 2)]
    assert [row["difference"] for row in rows] == pytest.approx([0.1, 0.1], abs=0.01)
    assert any("random patches: 1 of 9 contacts have none" in line for line in found.warnings)
    assert not any("no table has a row" in line for line in found.warnings)


def test_no_mesh_with_contacts_is_one_line(tmp_path):
    folder = write_tables(tmp_path, simulated_tables(2))
    words = ("compare", folder, "--tomograms", folder / "tomograms.csv", "-o", folder / "out")
    assert "no mesh with contacts" in refusal_of(run_command("tomosurf", *words, "--patches", "25"))


def test_one_more_tomogram_changes_nothing_of_the_others(tmp_path, sphere):
    folder = write_tables(tmp_path, simulated_tables(1), of_tomograms=True)
    write_meshes(folder, sphere)
    listed = pd.DataFrame({"tomogram": ["wt_01", "ko_01"], "condition": ["wt", "ko"], "grid": ""})
    folders = {name: folder / "surfaces" / name for name in listed["tomogram"]}
    both = patch_table(folders, listed, "condition", 20)
    one = patch_table({"ko_01": folders["ko_01"]}, listed, "condition", 20)
    pd.testing.assert_frame_equal(both[both["tomogram"] == "ko_01"].reset_index(drop=True), one)
