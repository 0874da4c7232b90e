"""Voxels longer along z: every command that reads volumes refuses them, and does what its refusal says."""

import mrcfile
import numpy as np
import pandas as pd
import pytest
from command_line import refusal_of, run_command

from tomocore.roiset import read_rois
from tomocore.volumes.formats import read_volume
from tomosurf.project import read_project
from tomosurf.validation import problems_of

EDGES_NM = (1.0, 1.0, 2.0)  # x, y, z
CENTRE, RADIUS_NM = (10, 15, 16), 8.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tomogram of 40 × 30 × 32 nm with a ball in it, as map, labels, mask and tomogram."""
    place = tmp_path_factory.mktemp("unequal")
    z, y, x = np.indices((20, 30, 32))
    radius_nm = np.sqrt((2 * (z - CENTRE[0])) ** 2 + (y - CENTRE[1]) ** 2 + (x - CENTRE[2]) ** 2)
    ball = (radius_nm <= RADIUS_NM).astype(np.int8)
    confidence = np.clip(0.5 + 0.25 * (RADIUS_NM - radius_nm), 0, 1).astype(np.float32)
    made = {"t": radius_nm, "t__labels": ball, "t__membranes": ball, "t__confidence": confidence}
    for name, data in made.items():
        with mrcfile.new(place / f"{name}.mrc") as file:
            file.set_data(data.astype(np.float32) if name == "t" else data)
            file.voxel_size = tuple(10 * edge for edge in EDGES_NM)
    return place


COMMANDS = {
    "instances": ("t__confidence.mrc", "--membranes", "t__membranes.mrc", "--split", "none"),
    "restrict": ("t__membranes.mrc", "--rois", "t__labels.mrc"),
    "crop": ("t.mrc", "--rois", "t__labels.mrc"),
    "rank": ("t__confidence.mrc",),
    "evaluate": ("--predicted", "t__confidence.mrc", "--truth", "t__labels.mrc"),
}
OUTPUT = {"restrict": "r.mrc", "rank": "r.csv", "evaluate": "r.json"}


@pytest.mark.parametrize("verb", COMMANDS)
def test_the_remedy_of_the_refusal_is_an_option(folder, tmp_path, verb):
    words = ["tomorois", verb, *COMMANDS[verb], "-o", tmp_path / OUTPUT.get(verb, "out")]
    words += ["--threshold", "0.5"] if "t__confidence.mrc" in words else []
    assert "the axes disagree by a factor of 2" in (line := refusal_of(run_command(*words, cwd=folder)))
    assert "with --resample" in line
    result = run_command(*words, "--resample", cwd=folder)
    assert result.returncode == 0, result.stderr
    assert list(tmp_path.iterdir())


def test_rois_of_a_resampled_map_lie_where_the_map_had_them(folder, tmp_path):
    words = ("t__confidence.mrc", "--threshold", 0.5, "--resample", "-o", tmp_path)
    assert run_command("tomorois", "instances", *words, cwd=folder).returncode == 0
    rois = read_rois(tmp_path / "t__rois.npz")
    assert rois.shape == (40, 30, 32)
    row = pd.read_csv(tmp_path / "t__rois.csv").iloc[0]
    assert row["volume_nm3"] == pytest.approx(4 / 3 * np.pi * RADIUS_NM**3, rel=0.05)
    centre = (CENTRE[2] * 1.0, CENTRE[1] * 1.0, CENTRE[0] * 2.0)
    found = [row[f"centroid_{axis}_nm"] for axis in "xyz"]
    np.testing.assert_allclose(found, centre, atol=0.1)


def test_crops_of_a_resampled_volume_are_pasted_back(folder, tmp_path):
    words = ("--rois", "t__labels.mrc", "--resample", "-o", tmp_path)
    assert run_command("tomorois", "crop", "t__membranes.mrc", *words, cwd=folder).returncode == 0
    (crop,) = tmp_path.glob("*__roi*.mrc")
    (table,) = tmp_path.glob("*__crops.csv")
    words = (crop, "--crops", table, "--like", "t.mrc", "-o", tmp_path / "back.mrc")
    assert "with --resample" in refusal_of(run_command("tomorois", "paste", *words, cwd=folder))
    assert run_command("tomorois", "paste", *words, "--resample", cwd=folder).returncode == 0
    whole = read_volume(folder / "t__membranes.mrc", resample=True)
    np.testing.assert_array_equal(read_volume(tmp_path / "back.mrc").data, whole.data)


def test_a_project_says_the_key_that_resamples(folder, tmp_path):
    text = f'tomograms = ["{folder / "t.mrc"}"]\nmembranes = "{folder}"\n'
    (tmp_path / "project.toml").write_text(text)
    problems = problems_of(read_project(tmp_path))
    assert sum("set resample = true in the project file" in line for line in problems) == 2
    (tmp_path / "project.toml").write_text(text + "resample = true\n")
    (line,) = problems_of(read_project(tmp_path))
    assert "no such model" in line
