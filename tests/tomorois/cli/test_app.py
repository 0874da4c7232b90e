"""`tomorois` as a user runs it: from phantoms to scores, and every kind of bad input refused in one line."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command_line import refusal_of, run_command

from tomocore.roiset import rois_from_labels, write_rois_archive
from tomocore.volumes.formats import inspect_volume, read_volume, write_volume
from tomocore.volumes.volume import Volume

pytestmark = pytest.mark.slow

EDGE_NM = 2.0
SHAPE = (32, 48, 48)
SETTINGS = """\
[train]
bin_factor = 1
patch_voxels = 20
steps = 150
[train.network]
layers = 6
dilations = [1, 2]
[instances]
min_volume_nm3 = 300
split = "none"
"""


def blob_tomogram(seed):
    """Dark balls of 5 voxels radius in noise, and labels of them."""
    rng = np.random.default_rng(seed)
    labels = np.zeros(SHAPE, np.int16)
    grid = np.indices(SHAPE)
    for k in range(3):
        centre = rng.uniform([8, 8, 8 + 15 * k], [24, 40, 9 + 15 * k])
        labels[((grid - centre[:, None, None, None]) ** 2).sum(axis=0) <= 25] = 1
    tomogram = rng.normal(size=SHAPE).astype(np.float32) - 3.0 * labels
    return Volume(tomogram, EDGE_NM, (5.0, 6.0, 7.0)), Volume(labels, EDGE_NM, (5.0, 6.0, 7.0))


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Four annotated tomograms, one of them kept for testing, and a model trained on the others."""
    folder = tmp_path_factory.mktemp("blobs")
    for kind, seeds in (("training", (1, 2, 3)), ("unseen", (9,))):
        (folder / kind).mkdir()
        for seed in seeds:
            tomogram, labels = blob_tomogram(seed)
            write_volume(folder / kind / f"t{seed}.mrc", tomogram)
            write_volume(folder / kind / f"t{seed}__labels.mrc", labels)
            write_rois_archive(folder / kind / f"t{seed}__truth.npz", rois_from_labels(pieces(labels)))
    (folder / "s.toml").write_text(SETTINGS)
    words = ("--tomograms", "training", "--labels", "training", "-o", "model.safetensors", "-s", "s.toml")
    result = run_command("tomorois", "train", *words, cwd=folder)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Dice" in result.stdout
    return folder


def pieces(labels):
    import cc3d

    return labels.with_data(cc3d.connected_components(labels.data, connectivity=26).astype(np.int16))


def test_from_model_to_scores(project):
    steps = [
        ("predict", "model.safetensors", "unseen", "-o", "confidence"),
        ("instances", "confidence", "-o", "rois", "-s", "s.toml"),
        (
            "evaluate",
            "--predicted",
            "rois",
            "--truth",
            "unseen",
            "--model",
            "model.safetensors",
            "-o",
            "m.json",
        ),
        ("restrict", "unseen/t9__labels.mrc", "--rois", "rois/t9__rois.npz", "-o", "restricted.mrc"),
        ("crop", "unseen/t9.mrc", "--rois", "rois/t9__rois.npz", "-o", "crops"),
        ("info", "unseen/t9.mrc", "rois/t9__rois.npz", "model.safetensors"),
    ]
    for step in steps:
        result = run_command("tomorois", *step, cwd=project)
        assert result.returncode == 0, result.stdout + result.stderr
    header = inspect_volume(project / "confidence" / "t9__confidence.mrc")
    assert header.shape == SHAPE
    assert header.origin_nm == pytest.approx((5, 6, 7))
    confidence = read_volume(project / "confidence" / "t9__confidence.mrc").data
    assert 0 <= confidence.min() <= confidence.max() <= 1
    side = json.loads((project / "confidence" / "t9__confidence.json").read_text())
    again = run_command("tomorois", "instances", "confidence", "-o", "again", cwd=project)
    assert f"threshold {side['threshold']:.3g}" in again.stdout
    (project / "own.toml").write_text("[instances]\nthreshold = 0.123\n")
    own = run_command("tomorois", "instances", "confidence", "-o", "own", "-s", "own.toml", cwd=project)
    assert "threshold 0.123" in own.stdout
    metrics = json.loads((project / "m.json").read_text())
    assert metrics["counts"]["tp"] == metrics["counts"]["truth"]
    assert metrics["scores"]["dice_pooled"]["value"] > 0.8
    assert metrics["tomograms_trained_on"] == []
    assert len(pd.read_csv(project / "rois" / "t9__rois.csv")) == metrics["counts"]["predicted"]
    assert set(np.unique(read_volume(project / "restricted.mrc").data)) > {0}
    assert (project / "crops" / "t9__crops.csv").exists()


def test_uncertainty_and_what_to_look_at_next(project):
    words = ("predict", "model.safetensors", "unseen", "training", "-o", "doubt", "--uncertainty")
    result = run_command("tomorois", *words, cwd=project)
    assert result.returncode == 0, result.stderr
    spread = read_volume(project / "doubt" / "t9__uncertainty.mrc")
    assert spread.shape == SHAPE
    assert spread.origin_nm == pytest.approx((5, 6, 7))
    assert 0 <= spread.data.min() < spread.data.max() < 0.7
    words = ("rank", "doubt", "-o", "ranking.csv", "-s", "s.toml")
    result = run_command("tomorois", *words, cwd=project)
    assert result.returncode == 0, result.stderr
    assert "entropy" in result.stdout
    places = pd.read_csv(project / "ranking.csv")
    assert places["entropy_bits"].is_monotonic_decreasing
    assert (places["kind"] == "roi").sum() >= 9
    assert places["spread"].between(0, 0.7).all()
    tomograms = pd.read_csv(project / "ranking__tomograms.csv")
    assert sorted(tomograms["tomogram"]) == ["t1", "t2", "t3", "t9"]
    again = run_command("tomorois", *words, cwd=project)
    assert again.returncode == 0
    assert "skipped ranking.csv: it exists; pass --overwrite" in again.stdout


def test_a_learning_curve_answers_in_words(project):
    short = SETTINGS.replace("steps = 150", "steps = 30") + "[learning_curve]\nrois = [2, 6]\n"
    (project / "short.toml").write_text(short)
    words = ("--tomograms", "training", "--labels", "training", "unseen", "--unseen", "unseen")
    words = ("learning-curve", *words, "--truth", "unseen", "-o", "curve", "-s", "short.toml")
    result = run_command("tomorois", *words, cwd=project)
    assert result.returncode == 0, result.stdout + result.stderr
    points = pd.read_csv(project / "curve" / "learning_curve.csv")
    assert points["rois"].tolist() == [2, 6]
    answer = (project / "curve" / "learning_curve.txt").read_text().strip()
    assert answer.startswith("From 2 to 6 ROIs")
    assert answer in result.stdout
    assert (project / "curve" / "learning_curve.png").stat().st_size > 5000


def test_phantoms_of_a_segmentation_and_what_their_options_need(tmp_path):
    grid = np.indices((30, 40, 40))
    labels = np.zeros(grid.shape[1:], np.int16)
    within = ((grid[0] - 15) ** 2 + (grid[1] - 20) ** 2) < 11**2
    labels[within & (np.abs(grid[2] - 14) <= 1)] = 1
    labels[within & (np.abs(grid[2] - 26) <= 1)] = 3
    write_volume(tmp_path / "cell__membranes.mrc", Volume(labels, 1.5))
    words = (
        "phantom",
        "--from-labels",
        tmp_path / "cell__membranes.mrc",
        "--seed",
        "4",
        "-o",
        tmp_path / "out",
    )
    (tmp_path / "s.toml").write_text("[phantom_from_labels]\nmargin_nm = 6\n")
    chosen = ("--pairs", "1:3", "--count", "2", "-s", tmp_path / "s.toml")
    result = run_command("tomorois", *words, *chosen, "--voxel-size", "1.25")
    assert result.returncode == 0, result.stderr
    for seed in (4, 5):
        truth = pd.read_csv(tmp_path / "out" / f"cell_s{seed}__truth.csv")
        assert truth["gap_mean_nm"].tolist() == pytest.approx([15.0], abs=0.4)
        assert read_volume(tmp_path / "out" / f"cell_s{seed}.mrc").voxel_size_nm == pytest.approx(1.25)
    again = run_command("tomorois", *words, *chosen, "--voxel-size", "1.25")
    assert again.stdout.count("skipped /") == 2
    assert "0 tomograms made" in again.stdout
    too_short = (*chosen, "--contact-limit", "10", "--seed", "9")
    assert "only within" in refusal_of(run_command("tomorois", *words[:-4], "-o", tmp_path, *too_short))
    assert "--pairs" in refusal_of(run_command("tomorois", *words))
    assert "1:3" in refusal_of(run_command("tomorois", *words, "--pairs", "1-3"))
    assert "--from-labels" in refusal_of(run_command("tomorois", "phantom", "-o", tmp_path))
    both = (
        "phantom",
        "--kind",
        "contacts",
        "--from-labels",
        tmp_path / "cell__membranes.mrc",
        "-o",
        tmp_path,
    )
    assert "either" in refusal_of(run_command("tomorois", *both))


def test_tomograms_trained_on_are_told(project):
    words = ("--predicted", "training/t1__truth.npz", "--truth", "training/t1__truth.npz")
    result = run_command(
        "tomorois", "evaluate", *words, "--model", "model.safetensors", "-o", "t.json", cwd=project
    )
    assert result.returncode == 0, result.stderr
    assert json.loads((project / "t.json").read_text())["tomograms_trained_on"] == ["t1"]
    assert "(t1)" in result.stderr
    assert "(t1)" in (project / "t.html").read_text()
    again = run_command("tomorois", "evaluate", *words, "-o", "t.json", cwd=project)
    assert again.returncode == 0
    assert "skipped t.json: it exists; pass --overwrite" in again.stdout
    unknown = run_command("tomorois", "evaluate", *words, "-o", "t.json", "--overwrite", cwd=project)
    assert "not known" in unknown.stderr


def test_existing_predictions_are_kept(project):
    first = run_command("tomorois", "predict", "model.safetensors", "unseen", "-o", "kept", cwd=project)
    made = (project / "kept" / "t9__confidence.mrc").stat().st_mtime_ns
    second = run_command("tomorois", "predict", "model.safetensors", "unseen", "-o", "kept", cwd=project)
    assert (first.returncode, second.returncode) == (0, 0)
    assert "GiB of memory" in first.stderr
    assert "skipped" in second.stdout
    assert "another model" not in second.stdout
    assert (project / "kept" / "t9__confidence.mrc").stat().st_mtime_ns == made
    side = project / "kept" / "t9__confidence.json"
    side.write_text(json.dumps(json.loads(side.read_text()) | {"model_sha256": "0"}))
    third = run_command("tomorois", "predict", "model.safetensors", "unseen", "-o", "kept", cwd=project)
    assert "made by another model" in third.stdout


def test_maps_as_zarr_go_on_to_rois(project):
    words = ("predict", "model.safetensors", "unseen", "-o", "zarr", "--format", "zarr")
    assert run_command("tomorois", *words, cwd=project).returncode == 0
    assert read_volume(project / "zarr" / "t9__confidence.zarr").shape == SHAPE
    result = run_command("tomorois", "instances", "zarr", "-o", "zarr", "-s", "s.toml", cwd=project)
    assert result.returncode == 0, result.stderr
    assert (project / "zarr" / "t9__rois.npz").exists()


def test_an_unreadable_tomogram_does_not_stop_the_others(project, tmp_path):
    good = read_volume(project / "unseen" / "t9.mrc")
    write_volume(tmp_path / "nan.mrc", good.with_data(np.full_like(good.data, np.nan)))
    (tmp_path / "text.mrc").write_text("no voxels " * 200)
    write_volume(tmp_path / "good.mrc", good)
    result = run_command(
        "tomorois", "predict", project / "model.safetensors", tmp_path, "-o", tmp_path / "out"
    )
    assert result.returncode == 1
    failures = [line for line in result.stderr.splitlines() if line.startswith("failed")]
    assert len(failures) == 2
    assert any("NaN" in line and "nan" in line for line in failures)
    assert "1 done, 0 skipped, 2 failed" in result.stdout
    assert sorted(p.name for p in (tmp_path / "out").glob("*.mrc")) == ["good__confidence.mrc"]


def test_a_limit_on_the_size_of_files_is_one_line_and_leaves_no_half_file(project, tmp_path):
    script = Path(sys.executable).parent / "tomorois"
    words = f"predict {project / 'model.safetensors'} {project / 'unseen'} -o {tmp_path / 'out'}"
    result = subprocess.run(
        ["bash", "-c", f"ulimit -f 256; exec {script} {words}"], capture_output=True, text=True
    )
    assert "cannot be written (file too large); raise the limit" in refusal_of(result)
    assert "0 done, 0 skipped, 1 failed" in result.stdout
    assert "next:" not in result.stdout
    assert not (tmp_path / "out").exists()


def test_inverted_contrast_is_named_and_an_empty_map_says_why(project, tmp_path):
    volume = read_volume(project / "unseen" / "t9.mrc")
    write_volume(tmp_path / "t9.mrc", volume.with_data(-volume.data))
    words = (project / "model.safetensors", tmp_path / "t9.mrc", "-o", tmp_path)
    result = run_command("tomorois", "predict", *words)
    assert result.returncode == 0, result.stderr
    assert "inverted contrast" in result.stderr
    assert "polarity" in result.stderr
    write_volume(tmp_path / "empty__confidence.mrc", volume.with_data(np.full(SHAPE, 0.01, np.float32)))
    words = ("instances", tmp_path / "empty__confidence.mrc", "-o", tmp_path / "rois", "--threshold", "0.5")
    result = run_command("tomorois", *words)
    assert result.returncode == 0, result.stderr
    assert "highest confidence is 0.01, below the threshold" in " ".join(result.stderr.split())
    assert len(pd.read_csv(tmp_path / "rois" / "empty__rois.csv")) == 0


def test_membranes_given_for_instances_mean_contacts(tmp_path):
    confidence = np.full((20, 30, 30), 0.01, np.float32)
    confidence[5:15, 5:25, 8:22] = 0.9
    sheets = np.zeros((20, 30, 30), np.int16)
    sheets[:, :, 10], sheets[:, :, 20] = 1, 2
    write_volume(tmp_path / "t__confidence.mrc", Volume(confidence, 2.0))
    write_volume(tmp_path / "t__membranes.mrc", Volume(sheets, 2.0))
    words = ("instances", "t__confidence.mrc", "--membranes", "t__membranes.mrc", "--threshold", "0.5")
    for split, name in (((), "1:2"), (("--split", "none"), "")):
        result = run_command("tomorois", *words, *split, "-o", f"rois{name[:1]}", cwd=tmp_path)
        assert result.returncode == 0, result.stderr
        table = pd.read_csv(tmp_path / f"rois{name[:1]}" / "t__rois.csv", keep_default_na=False)
        assert table["membranes"].tolist() == [name]


def test_refining_a_model_tells_what_became_better_and_draws_both_confidences(project):
    corner = np.zeros(SHAPE, np.int16)
    corner[:3, :3, :3] = 1
    write_rois_archive(project / "t1__rejected.npz", rois_from_labels(Volume(corner, EDGE_NM)))
    (project / "refine.toml").write_text(SETTINGS.replace("steps = 150", "steps = 20"))
    words = ("--tomograms", "training", "unseen", "--labels", "training", "unseen", "-s", "refine.toml")
    more = ("--init", "model.safetensors", "--penalty", "t1__rejected.npz", "-o", "refined.safetensors")
    result = run_command("tomorois", "train", *words, *more, cwd=project)
    assert result.returncode == 0, result.stdout + result.stderr
    lines = [line for line in result.stdout.splitlines() if " before: " in line]
    assert len(lines) == 4
    assert all(line.endswith(("better", "worse", "the same")) for line in lines)
    assert "of 4 tomograms" in result.stdout
    assert (project / "refined.train.png").stat().st_size > 10_000
    log = pd.read_csv(project / "refined.train.csv").dropna(subset=["rejected_confidence"])
    assert log["step"].iloc[0] == 0


def test_tomograms_of_which_only_rejected_rois_are_known_need_no_labels(project, tmp_path):
    corner = np.zeros(SHAPE, np.int16)
    corner[:3, :3, :3] = 1
    write_rois_archive(tmp_path / "t9__rois.npz", rois_from_labels(Volume(corner, EDGE_NM)))
    (project / "refine.toml").write_text(SETTINGS.replace("steps = 150", "steps = 20"))
    words = ("--tomograms", "training", "unseen/t9.mrc", "--labels", "training", "-s", "refine.toml")
    more = ("--init", "model.safetensors", "-o", tmp_path / "refined.safetensors")
    refused = run_command("tomorois", "train", *words, *more, cwd=project)
    assert "no labels for t9.mrc" in refusal_of(refused)
    write_rois_archive(tmp_path / "t7__rois.npz", rois_from_labels(Volume(corner, EDGE_NM)))
    result = run_command("tomorois", "train", *words, *more, "--penalty", tmp_path, cwd=project)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "penalty files of none of the tomograms, not used: t7__rois.npz" in result.stderr
    assert "nan" not in result.stdout
    log = pd.read_csv(tmp_path / "refined.train.csv").dropna(subset=["rejected_confidence"])
    assert len(log) > 1


def test_a_model_for_another_voxel_size(project, tmp_path):
    volume = read_volume(project / "unseen" / "t9.mrc")
    write_volume(tmp_path / "near.mrc", Volume(volume.data, EDGE_NM * 1.2))
    write_volume(tmp_path / "far.mrc", Volume(volume.data, EDGE_NM * 6))
    rescaled = run_command(
        "tomorois", "predict", project / "model.safetensors", tmp_path / "near.mrc", "-o", tmp_path
    )
    assert rescaled.returncode == 0, rescaled.stderr
    assert "2.4" in rescaled.stderr
    assert "nm" in rescaled.stderr
    refused = run_command(
        "tomorois", "predict", project / "model.safetensors", tmp_path / "far.mrc", "-o", tmp_path
    )
    assert "12" in refusal_of(refused)


def test_labels_of_another_shape(project, tmp_path):
    labels = read_volume(project / "training" / "t1__labels.mrc")
    write_volume(tmp_path / "t1__labels.mrc", labels.with_data(labels.data[:-2]))
    words = ("--tomograms", project / "training" / "t1.mrc", "--labels", tmp_path / "t1__labels.mrc")
    line = refusal_of(run_command("tomorois", "train", *words, "-o", tmp_path / "m.safetensors"))
    assert "(30, 48, 48)" in line
    assert "(32, 48, 48)" in line


def test_labels_without_any_roi(project, tmp_path):
    labels = read_volume(project / "training" / "t1__labels.mrc")
    write_volume(tmp_path / "t1__labels.mrc", labels.with_data(np.zeros(SHAPE, np.int16)))
    words = ("--tomograms", project / "training" / "t1.mrc", "--labels", tmp_path / "t1__labels.mrc")
    line = refusal_of(run_command("tomorois", "train", *words, "-o", tmp_path / "m.safetensors"))
    assert "ROI" in line
    assert not (tmp_path / "m.safetensors").exists()


def test_a_finished_model_is_not_overwritten_unasked(project):
    words = ("--tomograms", "training", "--labels", "training", "-o", "model.safetensors", "-s", "s.toml")
    assert "--overwrite" in refusal_of(run_command("tomorois", "train", *words, cwd=project))
    made = (project / "model.safetensors").stat().st_mtime_ns
    result = run_command("tomorois", "train", *words, "--resume", cwd=project)
    assert result.returncode == 0, result.stderr
    assert "trained to its end" in result.stdout
    assert (project / "model.safetensors").stat().st_mtime_ns == made


def test_what_is_no_model(project, tmp_path):
    (tmp_path / "model.safetensors").write_text("hello")
    words = ("predict", tmp_path / "model.safetensors", project / "unseen", "-o", tmp_path / "out")
    assert "model" in refusal_of(run_command("tomorois", *words))


def test_unknown_settings_and_sections(project, tmp_path):
    for text, told in (("[instances]\nthreshhold = 0.5\n", "threshhold"), ("[instance]\n", "instance")):
        (tmp_path / "s.toml").write_text(text)
        words = ("instances", project / "unseen" / "t9.mrc", "-o", tmp_path, "-s", tmp_path / "s.toml")
        assert told in refusal_of(run_command("tomorois", *words))


def test_the_printed_settings_can_be_read_back(project, tmp_path):
    printed = run_command("tomorois", "settings")
    assert printed.returncode == 0
    (tmp_path / "s.toml").write_text(printed.stdout)
    words = ("phantom", "--kind", "contacts", "--count", "0", "-o", tmp_path, "-s", tmp_path / "s.toml")
    assert "--count 0" in refusal_of(run_command("tomorois", *words))
    from tomocore.settings import load_section
    from tomorois.cli.app import SECTIONS
    from tomorois.instances.settings import InstanceSettings

    assert (
        load_section(InstanceSettings, "instances", tuple(SECTIONS), tmp_path / "s.toml")
        == InstanceSettings()
    )


def test_folders_as_other_programs_leave_them(project, tmp_path):
    tomogram, _ = blob_tomogram(9)
    folder = tmp_path / "imod"
    folder.mkdir()
    for name, planes in (("ts1.rec", 32), ("ts1.st", 8), ("ts1.ali", 8), ("grid1__ts_2_13.48Apx.mrc", 24)):
        made = folder / Path(name).with_suffix(".mrc")
        write_volume(made, tomogram.with_data(tomogram.data[:planes]))
        made.rename(folder / name)
    result = run_command(
        "tomorois", "predict", project / "model.safetensors", folder, "-o", tmp_path / "maps"
    )
    assert result.returncode == 0, result.stderr
    maps = {path.name: read_volume(path).shape[0] for path in (tmp_path / "maps").glob("*.mrc")}
    assert maps == {"ts1__confidence.mrc": 32, "grid1__ts_2_13.48Apx__confidence.mrc": 24}
    assert "left out, tilt series by their endings: ts1.ali, ts1.st" in result.stderr
    write_volume(folder / "ts1.mrc", tomogram)
    again = ("predict", project / "model.safetensors", folder, "-o", tmp_path / "other")
    line = refusal_of(run_command("tomorois", *again))
    assert "ts1.mrc" in line
    assert "would be written under one name, ts1" in line
    assert not (tmp_path / "other").exists()


def test_a_border_of_nan_is_filled_and_told(project, tmp_path):
    tomogram, _ = blob_tomogram(9)
    data = tomogram.data.copy()
    data[:2] = np.nan
    write_volume(tmp_path / "t.mrc", tomogram.with_data(data))
    result = run_command(
        "tomorois", "predict", project / "model.safetensors", "t.mrc", "-o", ".", cwd=tmp_path
    )
    assert result.returncode == 0, result.stderr
    assert "2 of 32 planes wholly (z 0 to 1)" in result.stderr
    assert np.isfinite(read_volume(tmp_path / "t__confidence.mrc").data).all()


def test_a_threshold_that_nobody_knows_is_asked_for(project, tmp_path):
    tomogram, labels = blob_tomogram(9)
    write_volume(tmp_path / "t__confidence.mrc", tomogram.with_data(labels.data * np.float32(0.9)))
    line = refusal_of(run_command("tomorois", "instances", "t__confidence.mrc", "-o", "r", cwd=tmp_path))
    assert "threshold of the model that made it is not known" in line
    words = ("instances", "t__confidence.mrc", "-o", "r", "--threshold", "0.5")
    assert run_command("tomorois", *words, cwd=tmp_path).returncode == 0


def test_what_exists_is_skipped_by_every_command(project, tmp_path):
    unseen = project / "unseen"
    truth = unseen / "t9__truth.npz"
    commands = (
        f"restrict {unseen}/t9__labels.mrc --rois {truth} -o cut.mrc",
        f"crop {unseen}/t9__labels.mrc --rois {truth} -o crops",
        f"paste crops/t9__labels__roi001.mrc --crops crops/t9__labels__crops.csv --like {unseen}/t9.mrc "
        "-o pasted.mrc",
        "phantom --kind contacts -o phantoms -s small.toml",
        f"evaluate --predicted {truth} --truth {truth} -o metrics.json",
    )
    (tmp_path / "small.toml").write_text("[phantom]\nshape_zyx = [40, 96, 96]\n")
    for words in commands:
        first, second = (run_command("tomorois", *words.split(), cwd=tmp_path) for _ in range(2))
        assert first.returncode == 0, first.stderr
        assert second.returncode == 0, second.stderr
        assert "skipped" in second.stdout, words
    other = ("tomorois", "phantom", "--kind", "contacts", "-o", "phantoms")
    kept = run_command(*other, cwd=tmp_path)
    assert kept.returncode == 0
    assert "made with other settings" in kept.stderr
