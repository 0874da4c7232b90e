"""`surfora density`, and `surfora run` with tomograms and valid regions, as a user runs them."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import shapes
from command_line import run_command
from density_scenes import Bilayer, mesh_off, tomogram_of

from surfora.geometry.facts import SurfaceFacts
from surfora.geometry.files import read_facts, read_mesh, write_surface
from surfora.measures.beside_masks import Neighbours
from surfora.measures.distance_pairs import SurfaceFile
from surfora.reporting.columns import COLUMNS
from tomocore.volumes.formats import write_volume
from tomocore.volumes.volume import Volume

SPHERE = shapes.sphere(14.0)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A vesicle's tomogram, its mask, its mesh off the middle, and a valid region that holds half of it."""
    folder = tmp_path_factory.mktemp("files")
    tomogram = tomogram_of(SPHERE, 1.3, Bilayer(spacing_nm=3.4))
    write_volume(folder / "t1.mrc", tomogram)
    mask, origin = SPHERE.voxelise(1.3, 5.0, origin_nm=tomogram.origin_nm)
    write_volume(folder / "t1__membranes.mrc", Volume(mask.astype(np.int8), 1.3, origin))
    region = np.ones(tomogram.shape, np.int8)
    region[round((SPHERE.centre_nm[2] - tomogram.origin_nm[2]) / 1.3) :] = 0
    write_volume(folder / "t1__valid.mrc", tomogram.with_data(region))
    write_surface(folder / "m.medial.vtp", mesh_off(SPHERE, off_nm=0.6), SurfaceFacts("m", "medial", "OMM"))
    return folder


def test_a_mesh_with_its_density_and_one_moved_to_the_middle(files, tmp_path):
    words = ("density", files / "m.medial.vtp", "--tomogram", files / "t1.mrc")
    result = run_command("surfora", *words, "-o", tmp_path / "d.vtp")
    assert result.returncode == 0, result.stderr
    assert "membranes are dark (found)" in result.stdout
    assert "thickness_peak_to_peak_median_nm 3.4" in result.stdout
    mesh = read_mesh(tmp_path / "d.vtp")
    assert np.nanmedian(mesh.data["density_middle_offset_nm"]) == pytest.approx(-0.63, abs=0.03)
    assert read_facts(tmp_path / "d.vtp").label == "OMM"
    again = run_command("surfora", *words, "-o", tmp_path / "d.vtp")
    assert "exists" in again.stdout + again.stderr
    refined = run_command(
        "surfora", *words, "--refine", "--valid", files / "t1__valid.mrc", "-o", tmp_path / "r.vtp"
    )
    assert refined.returncode == 0, refined.stderr
    assert "surfora curvature" in refined.stdout
    moved = read_mesh(tmp_path / "r.vtp")
    told = moved.data["density_evidence"] == 0
    assert np.abs(SPHERE.signed_distance(moved.vertices)[told]).max() < 0.1
    assert (moved.data["valid_region_depth_nm"][told] > 0).all()
    assert (moved.data["valid_region_depth_nm"] < 0).mean() == pytest.approx(0.5, abs=0.06)


def test_a_run_with_tomogram_and_valid_region_has_both_in_its_tables(files, tmp_path):
    result = run_command(
        *("surfora", "run", files / "t1__membranes.mrc", "-o", tmp_path, "--surface", "medial"),
        *("--tomogram", files / "t1.mrc", "--valid", files / "t1__valid.mrc"),
    )
    assert result.returncode == 0, result.stderr
    row = pd.read_csv(tmp_path / "surfaces.csv").iloc[0]
    assert row["thickness_peak_to_peak_median_nm"] == pytest.approx(3.4, abs=0.03)
    assert row["density_middle_offset_median_nm"] == pytest.approx(0.0, abs=0.08)
    assert row["outside_valid_area_share"] == pytest.approx(0.5, abs=0.05)
    assert row["density_contrast_median"] < 0
    assert 0.1 < row["density_area_share"] < 0.5
    assert {key for key in row.index if "density" in key or "valid" in key} <= {c.key for c in COLUMNS}
    assert "thickness peak to peak" in (tmp_path / "report.html").read_text()
    data = read_mesh(tmp_path / "t1__membranes.medial.vtp").data
    assert "density_at_minus_5_nm" in data
    assert "valid_region_depth_nm" in data


def test_what_does_not_fit_is_refused_in_a_line(files, tmp_path):
    write_volume(tmp_path / "flat.mrc", Volume(np.zeros((40, 40, 40), np.float32), 1.3))
    words = ("density", files / "m.medial.vtp", "-o", tmp_path / "d.vtp")
    result = run_command("surfora", *words, "--tomogram", tmp_path / "flat.mrc")
    assert result.returncode == 1
    assert "check their origins" in result.stderr
    missing = run_command("surfora", *words, "--tomogram", tmp_path / "none.mrc")
    assert missing.returncode == 1
    assert "no such file" in missing.stderr
    other = run_command(
        *("surfora", "run", files / "t1__membranes.mrc", files / "t1__valid.mrc", "-o", tmp_path / "out"),
        *("--tomogram", files / "t1.mrc"),
    )
    assert other.returncode == 1
    assert "tomogram" in other.stderr


def test_a_second_run_takes_over_what_is_there_unless_other_files_lie_beside(files, tmp_path):
    words = ("surfora", "run", files / "t1__membranes.mrc", "-o", tmp_path, "--surface", "medial")
    beside = ("--tomogram", files / "t1.mrc", "--valid", files / "t1__valid.mrc")
    assert run_command(*words, *beside).returncode == 0
    path = tmp_path / "t1__membranes.medial.vtp"
    first = path.read_bytes(), (tmp_path / "surfaces.csv").read_bytes()
    assert run_command(*words, *beside).returncode == 0
    assert (path.read_bytes(), (tmp_path / "surfaces.csv").read_bytes()) == first
    assert run_command(*words, *beside[:2]).returncode == 0
    row = pd.read_csv(tmp_path / "surfaces.csv").iloc[0]
    assert "thickness_peak_to_peak_median_nm" in row
    assert "outside_valid_area_share" not in row
    assert run_command(*words).returncode == 0
    assert "thickness_peak_to_peak_median_nm" not in pd.read_csv(tmp_path / "surfaces.csv")
    assert not [name for name in read_mesh(path).data if "density" in name or "valid" in name]


def test_a_run_keeps_out_the_membranes_nearby_alone(tmp_path):
    meshes = {"near": 0.0, "touching": 12.0, "far": 80.0}
    surfaces = []
    for name, away in meshes.items():
        shape = replace(SPHERE, centre_nm=SPHERE.centre_nm + np.array([2 * 14.0 + away, 0.0, 0.0]))
        facts = SurfaceFacts(name, "medial", name, source="one.mrc")
        write_surface(tmp_path / f"{name}.medial.vtp", mesh_off(shape), facts)
        surfaces.append(SurfaceFile(tmp_path / f"{name}.medial.vtp", facts))
    mine = SurfaceFile(tmp_path / "mine.vtp", SurfaceFacts("mine", "medial", "mine", source="one.mrc"))
    same = SurfaceFacts("roi", "medial", "mine", source="one.mrc")
    elsewhere = SurfaceFacts("other", "medial", "other", source="two.mrc")
    others = [SurfaceFile(tmp_path / "near.medial.vtp", facts) for facts in (same, elsewhere)]
    neighbours = Neighbours([*surfaces, *others])
    for _ in range(2):  # read anew, and by what is remembered
        found = list(neighbours.near(mine, mesh_off(SPHERE), 13.0))
        assert [round(one.vertices[:, 0].mean() - SPHERE.centre_nm[0]) for one in found] == [28, 40]
