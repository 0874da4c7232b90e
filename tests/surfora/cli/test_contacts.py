"""`surfora contacts` as a user runs it: tables, arrays on both meshes, the page, and what it refuses."""

import contact_scenes
import numpy as np
import pandas as pd
import pytest
from command_line import run_command

from surfora.geometry.files import read_mesh, write_surface
from surfora.reporting.contact_columns import CURVE_COLUMNS, OBJECT_COLUMNS


@pytest.fixture(scope="module")
def meshes(tmp_path_factory):
    """A ridged membrane, a flat one and a fold, as files."""
    folder = tmp_path_factory.mktemp("meshes")
    scene = contact_scenes.sinusoid(edge=3.0)
    for name, mesh in (
        ("ridged", scene.first),
        ("flat", scene.second),
        ("fold", contact_scenes.hairpin(7.0, 60.0, 40.0, 2.5)),
    ):
        write_surface(folder / f"{name}.vtp", mesh)
    return folder


def test_tables_arrays_and_page(meshes, tmp_path):
    words = ("contacts", meshes / "ridged.vtp", "--to", meshes / "flat.vtp", "-o", tmp_path)
    result = run_command("surfora", *words, "--threshold", "18")
    assert result.returncode == 0, result.stderr
    assert "3 contacts below 18 nm" in result.stdout
    contacts = pd.read_csv(tmp_path / "contacts.csv")
    assert list(contacts) == [c.key for c in OBJECT_COLUMNS if c.key in contacts]
    assert list(contacts["contact"]) == [1, 2, 3]
    assert (contacts["cut_by"] == "mask").all()
    curve = pd.read_csv(tmp_path / "contact_curve.csv")
    assert list(curve) == [c.key for c in CURVE_COLUMNS if c.key in curve]
    chosen = curve[curve["is_chosen"]]
    assert chosen["contact_distance_nm"].item() == 18
    assert chosen["contact_area_nm2"].item() == pytest.approx(contacts["contact_area_nm2"].sum(), rel=0.01)
    for name in ("ridged", "flat"):
        data = read_mesh(tmp_path / f"{name}.vtp").data
        assert set(np.unique(data["contact_id"])) == {0, 1, 2, 3}
        inside = data["contact_id"] > 0
        assert np.isfinite(data["contact_gap_nm"][inside]).all()
        assert np.isnan(data["contact_gap_nm"][~inside]).all()
    html = (tmp_path / "contacts.html").read_text()
    assert "contact 1: flat and ridged" in html
    assert html.count("data:image/png;base64,") == 3
    before = (tmp_path / "contacts.csv").stat().st_mtime_ns
    again = run_command("surfora", *words, "--threshold", "18")
    assert again.returncode == 0
    assert "skipped" in again.stdout
    assert (tmp_path / "contacts.csv").stat().st_mtime_ns == before


def test_several_partners_and_a_fold_have_numbers_of_their_own(meshes, tmp_path):
    words = (
        "contacts",
        meshes / "fold.vtp",
        "--to",
        meshes / "fold.vtp",
        meshes / "flat.vtp",
        "-o",
        tmp_path,
    )
    result = run_command("surfora", *words, "--threshold", "20", "--curve", "15", "20")
    assert result.returncode == 0, result.stderr
    assert "fold with itself: one contact below 20 nm" in result.stdout
    assert "no contact below 20 nm" in result.stdout
    contacts = pd.read_csv(tmp_path / "contacts.csv")
    assert list(contacts["target"]) == ["fold"]
    assert contacts["gap_median_nm"].item() == pytest.approx(14, abs=0.1)
    curve = pd.read_csv(tmp_path / "contact_curve.csv")
    assert list(curve["target"]) == ["fold"] * 2 + ["flat"] * 2


def test_nothing_is_written_over_unasked(meshes):
    words = ("contacts", meshes / "ridged.vtp", "--to", meshes / "flat.vtp", "-o", meshes)
    before = (meshes / "ridged.vtp").read_bytes()
    result = run_command("surfora", *words)
    assert result.returncode == 1
    assert "--overwrite" in result.stderr
    assert (meshes / "ridged.vtp").read_bytes() == before
    assert not (meshes / "contacts.csv").exists()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--threshold", "-3"), "contact_distance_nm"),
        (("--curve", "0"), "curve_nm"),
        (("--to", "missing.vtp"), "no such file"),
    ],
)
def test_what_cannot_be_used_is_said_in_a_line(meshes, tmp_path, more, said):
    words = ("contacts", meshes / "ridged.vtp", "--to", meshes / "flat.vtp", "-o", tmp_path / "out", *more)
    result = run_command("surfora", *words)
    assert result.returncode == 1
    assert said in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "out").exists()


def test_two_meshes_of_one_name_are_refused(meshes, tmp_path):
    (tmp_path / "other").mkdir()
    write_surface(tmp_path / "other" / "ridged.vtp", read_mesh(meshes / "flat.vtp"))
    words = (
        "contacts",
        meshes / "ridged.vtp",
        "--to",
        tmp_path / "other" / "ridged.vtp",
        "-o",
        tmp_path / "o",
    )
    result = run_command("surfora", *words)
    assert result.returncode == 1
    assert "rename one" in result.stderr
