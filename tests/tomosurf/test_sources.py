"""Lists of tomograms that RELION, Warp and copick keep, as sources of a project."""

import json

import numpy as np
import pytest
from command_line import refusal_of, run_command

from tomocore.contract import InputError
from tomocore.volumes.formats import write_volume
from tomocore.volumes.volume import Volume
from tomosurf.project import read_project

MASK = np.zeros((4, 5, 6), np.int8)
MASK[2] = 1
HEAD = "data_global\n\nloop_\n_rlnTomoName #1\n"


def write(path, data=MASK):
    """Write a small volume of 1 nm; its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_volume(path, Volume(data, 1.2))
    return path


@pytest.fixture
def relion(tmp_path):
    """A project of RELION 5 with two reconstructed tomograms, and membranes named after their files."""
    rows = []
    for name in ("TS_01", "TS_10"):
        for folder in ("tomograms", "denoised"):
            write(tmp_path / "Reconstruct" / "job3" / folder / f"rec_{name}.mrc", MASK.astype(np.float32))
        write(tmp_path / "membranes" / f"rec_{name}__membranes.mrc")
        places = [f"Reconstruct/job3/{folder}/rec_{name}.mrc" for folder in ("tomograms", "denoised")]
        rows.append(" ".join([name, *places]))
    columns = "_rlnTomoReconstructedTomogram #2\n_rlnTomoReconstructedTomogramDenoised #3\n"
    path = tmp_path / "Reconstruct" / "job3" / "tomograms.star"
    path.write_text(HEAD + columns + "\n".join(rows) + "\n")
    (tmp_path / "project.toml").write_text('tomograms = ["Reconstruct/job3/tomograms.star"]\n')
    return tmp_path


def test_tomograms_of_relion_are_matched_and_shown(relion):
    plans = read_project(relion).plans
    assert [plan.stem for plan in plans] == ["rec_TS_01", "rec_TS_10"]
    assert [plan.membranes.name for plan in plans] == [
        "rec_TS_01__membranes.mrc",
        "rec_TS_10__membranes.mrc",
    ]
    assert plans[0].tomogram.parent.name == "tomograms"
    said = run_command("tomosurf", "validate", relion).stdout
    path = relion / "Reconstruct/job3/tomograms/rec_TS_01.mrc"
    assert f"rec_TS_01 (TS_01 in tomograms.star, {path}): rec_TS_01__membranes.mrc" in said
    column = "rlnTomoReconstructedTomogramDenoised"
    (relion / "project.toml").write_text(f'tomograms = ["Reconstruct/job3/tomograms.star:{column}"]\n')
    assert read_project(relion).plans[0].tomogram.parent.name == "denoised"


def test_an_optimisation_set_leads_to_its_tomograms(relion):
    (relion / "particles.star").write_text("data_particles\n\nloop_\n_rlnTomoName #1\nTS_01\n")
    (relion / "optimisation_set.star").write_text(
        "data_\n\n_rlnTomoParticlesFile particles.star\n"
        "_rlnTomoTomogramsFile Reconstruct/job3/tomograms.star\n"
    )
    (relion / "project.toml").write_text('tomograms = ["optimisation_set.star"]\n')
    assert [plan.listed for plan in read_project(relion).plans] == [
        "TS_01 in optimisation_set.star",
        "TS_10 in optimisation_set.star",
    ]


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (
            "Reconstruct/job3/tomograms.star:rlnNothing",
            "no column rlnNothing; there are rlnTomoReconstructed",
        ),
        ("nowhere.star", r"nowhere\.star: no such file"),
        ("membranes.star", "tells no tomograms"),
        ("gone.star", "names .lost/a.mrc., which is not there"),
        ("bare.star", "tells no file .* of TS_77, and none named so lies beside it"),
    ],
)
def test_lists_that_lead_nowhere_are_refused_in_one_line(relion, entry, reason):
    (relion / "membranes.star").write_text("data_x\n\nloop_\n_rlnCoordinateX #1\n1.0\n")
    (relion / "gone.star").write_text(HEAD + "_rlnTomoReconstructedTomogram #2\na lost/a.mrc\n")
    (relion / "bare.star").write_text(HEAD + "_rlnVoltage #2\nTS_77 300\n")
    (relion / "project.toml").write_text(f'tomograms = ["{entry}"]\n')
    with pytest.raises(InputError, match=reason):
        read_project(relion)


def test_reconstructions_of_warp_are_found_by_name(tmp_path):
    """Warp's tomograms.star tells no files; those of tilt series 1 and 11 are not mixed up."""
    for name in ("ts_1", "ts_11"):
        write(tmp_path / "reconstruction" / f"{name}_12.00Apx.mrc", MASK.astype(np.float32))
        write(tmp_path / "membranes" / f"{name}__membranes.mrc")
    write(tmp_path / "reconstruction" / "other_12.00Apx.mrc", MASK.astype(np.float32))
    (tmp_path / "tomograms.star").write_text(HEAD + "_rlnVoltage #2\nts_1.tomostar 300\nts_11.tomostar 300\n")
    (tmp_path / "project.toml").write_text('tomograms = ["tomograms.star"]\n')
    plans = read_project(tmp_path).plans
    assert [(plan.stem, plan.listed) for plan in plans] == [
        ("ts_1_12.00Apx", "ts_1 in tomograms.star"),
        ("ts_11_12.00Apx", "ts_11 in tomograms.star"),
    ]
    assert [plan.membranes.name for plan in plans] == ["ts_1__membranes.mrc", "ts_11__membranes.mrc"]


@pytest.fixture
def copick(tmp_path):
    """A project of copick with two runs: tomograms of two kinds in its static files, masks in its overlay."""
    folder = tmp_path / "copick"
    for run in ("run_1", "run_2"):
        for kind in ("wbp", "denoised"):
            place = folder / "static" / "ExperimentRuns" / run / "VoxelSpacing12.000"
            write(place / f"{kind}.zarr", MASK.astype(np.float32))
        masks = folder / "overlay" / "ExperimentRuns" / run / "Segmentations"
        write(masks / "12.000_lena_1_membrane.zarr")
        write(masks / "12.000_tardis_0_membrane.zarr")
        write(masks / "12.000_lena_1_ribosome.zarr")
    roots = {"overlay_root": "local://overlay", "static_root": f"local://{folder}/static"}
    (folder / "copick_config.json").write_text(json.dumps({"pickable_objects": [], "user_id": "l", **roots}))
    (folder / "project.toml").write_text(
        'tomograms = ["copick_config.json:wbp@12.0"]\nmembranes = "copick_config.json:lena_1_membrane"\n'
    )
    return folder


def test_runs_of_copick_are_matched_and_shown(copick):
    plans = read_project(copick).plans
    assert [plan.stem for plan in plans] == ["run_1", "run_2"]
    assert {plan.tomogram.name for plan in plans} == {"wbp.zarr"}
    assert {plan.membranes.name for plan in plans} == {"12.000_lena_1_membrane.zarr"}
    assert [plan.membranes.parts[-3] for plan in plans] == ["run_1", "run_2"]
    said = run_command("tomosurf", "validate", copick)
    assert "run_1 (run_1 in copick_config.json" in said.stdout
    told = [line for line in said.stderr.splitlines() if line.startswith("failed")]
    assert len(told) == 1  # of volumes nothing is wrong, and the model is missing
    assert "model.safetensors: no such model" in told[0]


@pytest.mark.parametrize(
    ("tomograms", "membranes", "reason"),
    [
        ("", ":lena_1_membrane", "run_1 has denoised@12.000, wbp@12.000; say which one, as in copick_config"),
        (":wbp", ":membrane", "run_1 has lena_1_membrane, tardis_0_membrane; say which one"),
        (":wbp@10.0", ":membrane", "no run has a tomogram wbp@10.0"),
        (":wbp", ":nucleus", "no run has a segmentation nucleus"),
    ],
)
def test_of_several_one_must_be_meant(copick, tomograms, membranes, reason):
    (copick / "project.toml").write_text(
        f'tomograms = ["copick_config.json{tomograms}"]\nmembranes = "copick_config.json{membranes}"\n'
    )
    assert reason in refusal_of(run_command("tomosurf", "status", copick))


def test_new_takes_a_list_where_no_folder_holds_tomograms(relion, tmp_path):
    (relion / "project.toml").unlink()
    (relion / "Reconstruct" / "job3" / "tomograms.star").rename(relion / "tomograms.star")
    assert run_command("tomosurf", "new", relion).returncode == 0
    project = read_project(relion)
    assert project.settings.tomograms == ("tomograms.star",)
    assert (relion / "tomograms.csv").read_text().splitlines()[1:] == ["rec_TS_01,,,,,", "rec_TS_10,,,,,"]
