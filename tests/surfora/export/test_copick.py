"""Projects of copick: what we write lies where copick looks for it, and what it holds is read."""

import json

import contact_scenes
import numpy as np
import pandas as pd
import pytest
import zarr
from command_line import refusal_of, run_command
from glb_files import parsed_glb

from surfora.export.copick import picks_particles
from surfora.export.poses import z_axes
from surfora.geometry.facts import SurfaceFacts
from surfora.geometry.files import read_mesh, write_surface
from tomocore.files_of_tomograms import tomogram_stem
from tomocore.volumes.formats import read_volume, write_volume
from tomocore.volumes.volume import Volume

CENTRE, RADIUS, EDGE = np.array([60.0, 50.0, 40.0]), 20.0, 1.5
OBJECTS = [
    {"name": "omm", "is_particle": False, "label": 1},
    {"name": "ribosome", "is_particle": True, "label": 2},
]


@pytest.fixture
def project(tmp_path):
    config = {"pickable_objects": OBJECTS, "user_id": "lena", "overlay_root": f"local://{tmp_path}/overlay"}
    path = tmp_path / "copick.json"
    path.write_text(json.dumps(config))
    return path


@pytest.fixture
def vesicle(tmp_path):
    grid = f"60 70 80 {EDGE} 15 0 0"
    facts = SurfaceFacts("ts_1_OMM", "medial", "OMM", source="ts_1.mrc", voxel_size_nm=EDGE, grid=grid)
    path = tmp_path / "ts_1_OMM.medial.vtp"
    write_surface(path, contact_scenes.ball(RADIUS, 3.0, tuple(CENTRE)), facts)
    return path


@pytest.fixture
def tomogram(tmp_path):
    """A tomogram whose first voxel lies at (15, 0, 0) nm, in a project as copick keeps it."""
    path = tmp_path / "overlay" / "ExperimentRuns" / "ts_1" / "VoxelSpacing15.000" / "wbp.zarr"
    path.parent.mkdir(parents=True)
    write_volume(path, Volume(np.zeros((60, 70, 80), np.float32), EDGE, (15.0, 0.0, 0.0)))
    return path


def test_tomograms_are_named_after_their_runs(tomogram, tmp_path):
    assert tomogram_stem(tomogram) == "ts_1"
    assert tomogram_stem(tomogram / "0") == "ts_1"
    masks = tomogram.parents[1] / "Segmentations"
    assert tomogram_stem(masks / "10.000_lena_1_omm.zarr") == "ts_1_omm"
    assert tomogram_stem(masks / "10.000_lena_1_all-multilabel.zarr") == "ts_1_all"
    assert tomogram_stem(tmp_path / "ExperimentRuns" / "wbp.zarr") == "wbp"


def test_meshes_lie_under_user_and_session_in_angstrom(project, vesicle, tomogram, tmp_path):
    words = ("surfora", "export", vesicle, "--for", "copick", "-o", project, "--session", "my_1")
    refused = run_command(*words)
    assert refused.returncode == 1
    assert "--tomogram" in refused.stderr  # the mask begins at 15 nm, and may be a part of the tomogram
    result = run_command(*words, "--tomogram", tomogram)
    assert result.returncode == 0, result.stderr
    mesh = tmp_path / "overlay" / "ExperimentRuns" / "ts_1" / "Meshes" / "lena_my-1_omm.glb"
    _, places, _, faces = parsed_glb(mesh)
    np.testing.assert_allclose(places, 10 * (read_mesh(vesicle).vertices - [15, 0, 0]), atol=1e-3)
    assert len(faces) == len(read_mesh(vesicle).faces)
    back = read_mesh(mesh)
    np.testing.assert_allclose(back.vertices, read_mesh(vesicle).vertices - [15, 0, 0], atol=1e-4)
    assert "exists" in run_command(*words, "--tomogram", tomogram).stdout


def test_segmentations_are_read_as_copick_writes_them_and_back(project, tmp_path):
    labels = np.zeros((20, 24, 28), np.uint8)
    labels[5:9, 6:12, 7:20] = 1
    for name, data in (("ts_1", labels), ("ts_2", labels + 2 * (labels[::-1] > 0))):
        write_volume(tmp_path / f"{name}__membranes.mrc", Volume(data, 1.0, (0.0, 0.0, 0.0)))
    files = sorted(tmp_path.glob("*__membranes.mrc"))
    result = run_command("surfora", "export", *files, "--for", "copick", "-o", project, "--object", "OMM")
    assert result.returncode == 0, result.stderr
    runs = tmp_path / "overlay" / "ExperimentRuns"
    one = runs / "ts_1" / "Segmentations" / "10.000_lena_0_omm.zarr"
    several = runs / "ts_2" / "Segmentations" / "10.000_lena_0_OMM-multilabel.zarr"
    assert (one / "0" / "0" / "0" / "0").is_file()  # chunks in folders, where copick's reader looks for them
    assert zarr.open_group(one, mode="r").metadata.zarr_format == 2
    back = read_volume(one)
    np.testing.assert_array_equal(back.data, labels)
    assert back.voxel_size_nm == pytest.approx(1.0)
    assert set(np.unique(read_volume(several).data)) == {0, 1, 2}
    assert tomogram_stem(several) == "ts_2_OMM"


def test_picks_make_the_round_trip(vesicle, tomogram, tmp_path):
    picks = tomogram.parents[1] / "Picks" / "surfora_0_ribosome.json"
    picks.parent.mkdir()
    words = ("sample", vesicle, "-o", picks, "--spacing", "10", "--tomogram", tomogram)
    assert run_command("surfora", *words).returncode == 0
    stored = json.loads(picks.read_text())
    assert (stored["user_id"], stored["session_id"], stored["pickable_object_name"]) == (
        "surfora",
        "0",
        "ribosome",
    )
    assert (stored["run_name"], stored["unit"], stored["trust_orientation"]) == ("ts_1", "angstrom", True)
    first = stored["points"][0]
    place = np.array([first["location"][axis] for axis in "xyz"]) / 10 + [15, 0, 0]
    away = place - CENTRE
    assert np.linalg.norm(away) == pytest.approx(RADIUS, abs=0.1)
    z_axis = np.array(first["transformation_"])[:3, 2]  # the object's z in the tomogram
    assert z_axis @ away == pytest.approx(RADIUS, abs=0.3)
    output = tmp_path / "joined.json"
    result = run_command(
        "surfora", "particles", vesicle, "--particles", picks, "-o", output, "--tomogram", tomogram
    )
    assert result.returncode == 0, result.stderr
    table = pd.read_csv(tmp_path / "joined.features.csv")
    assert table["surforaDistanceNm"].max() < 0.05
    assert table["surforaAxisAngleDeg"].max() < 2
    assert len(table) == len(stored["points"])
    wrong = run_command("surfora", "sample", vesicle, "-o", tmp_path / "p.json", "--tomogram", tomogram)
    assert "USER_SESSION_OBJECT.json" in refusal_of(wrong)


def test_a_picks_matrix_shifts_and_turns(tmp_path):
    """By hand: z of the object along x of the tomogram, the place shifted by 50 Å along y."""
    matrix = [[0, 0, 1, 0], [0, 1, 0, 50], [-1, 0, 0, 0], [0, 0, 0, 1]]
    point = {"location": {"x": 100, "y": 200, "z": 300}, "transformation_": matrix}
    path = tmp_path / "lena_1_ribosome.json"
    picks = {"pickable_object_name": "ribosome", "user_id": "lena", "session_id": "1", "points": [point]}
    path.write_text(json.dumps(picks | {"run_name": "ts_1"}))
    found = picks_particles(path)
    np.testing.assert_allclose(found.places_nm, [[10, 25, 30]])
    np.testing.assert_allclose(z_axes(found.poses), [[1, 0, 0]], atol=1e-12)
    path.write_text(json.dumps(picks | {"trust_orientation": False}))
    assert picks_particles(path).poses is None


@pytest.mark.parametrize(
    ("change", "words", "said"),
    [
        ({"overlay_root": "s3://bucket/x"}, [], "is no folder of this machine"),
        ({"user_id": None}, [], "--user"),
        ({"pickable_objects": []}, [], "none of the project's objects"),
        ({"pickable_objects": 3}, [], "copick project"),
        ({}, ["--object", "nucleus"], "none of the project's objects"),
    ],
)
def test_projects_that_cannot_be_written_are_refused(change, words, said, project, vesicle):
    project.write_text(json.dumps(json.loads(project.read_text()) | change))
    result = run_command("surfora", "export", vesicle, "--for", "copick", "-o", project, *words)
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert said in result.stderr
