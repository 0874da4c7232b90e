"""What `tomorois info` says of each kind of file, and that it finds what is wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tomocore.contract import InputError
from tomocore.roiset import rois_from_masks, write_rois_archive
from tomocore.volumes.formats import write_volume
from tomocore.volumes.volume import Volume
from tomorois.info import describe_values, inspect_file, report_lines

TE1 = Path(__file__).parents[3] / "shared" / "data" / "te1_labels.mrc.gz"
RNG = np.random.default_rng(0)
NOISE = RNG.normal(size=(20, 30, 40)).astype(np.float32)
DENSE = -RNG.gamma(2.0, size=(20, 30, 40)).astype(np.float32)
BLOCK = np.pad(np.ones((5, 6, 7), np.int16), ((5, 10), (4, 20), (13, 20)))


@pytest.mark.parametrize(
    ("values", "kind", "said", "problem"),
    [
        (NOISE, "tomogram", "cannot be told", ""),
        (DENSE, "tomogram", "looks dark", ""),
        (-DENSE, "tomogram", 'set polarity = "bright"', ""),
        (np.where(BLOCK, 0, NOISE), "tomogram", "values", ""),
        (np.where(np.arange(40) < 9, 0, NOISE), "tomogram", "values", "a filled border"),
        (BLOCK, "mask", "1 (0.88%)", ""),
        (BLOCK.astype(np.float32), "mask", "1 (0.88%)", ""),
        (BLOCK * np.arange(1, 41, dtype=np.int16), "label volume", "labels", ""),
        (BLOCK * np.int16(255), "mask", "ignore", ""),
        (BLOCK * np.float32(0.8) + 0.01, "confidence map", "above 0.5", ""),
        (BLOCK * np.float32(0.3) + 0.01, "confidence map", "above 0.5", "no voxel reaches 0.5"),
        (
            np.where(BLOCK, np.nan, NOISE),
            "tomogram",
            "cannot be told",
            "0.88 % of the voxels are NaN or infinite",
        ),
        (np.full((4, 4, 4), np.nan), "volume without values", "", "all voxels are NaN"),
        (BLOCK * np.int16(-56), "mask", "-56", "label -56 is negative"),
        (1 - BLOCK, "mask", "1 (", "label 1 fills 9"),
        (np.zeros((4, 4, 4), np.float32), "constant volume", "all 0", "every voxel is 0"),
    ],
)
def test_values_tell_the_kind_and_what_is_wrong(values, kind, said, problem):
    found, facts, problems = describe_values(values)
    assert found == kind
    assert said in " ".join(f"{name} {text}" for name, text in facts)
    assert problem in " ".join(problems)
    assert bool(problem) == bool(problems)


def test_report_on_a_tomogram(tmp_path):
    path = tmp_path / "t.mrc"
    write_volume(path, Volume(DENSE, 1.25, (10.0, 0.0, 0.0)))
    text = "\n".join(report_lines(inspect_file(path)))
    for expected in (f"{path}: tomogram", "40 × 30 × 20 (x, y, z)", "1.25 nm (12.5 Å)", "50 × 37.5 × 25 nm"):
        assert expected in text
    assert text.endswith("nothing looks wrong")


def test_an_uncertainty_is_no_confidence_map_of_too_little(tmp_path):
    path = tmp_path / "t__uncertainty.mrc"
    write_volume(path, Volume(np.linspace(0, 0.4, 6000, dtype=np.float32).reshape(10, 20, 30), 1.25))
    report = inspect_file(path)
    assert report.kind == "uncertainty of a confidence map"
    assert not report.problems


def test_a_header_that_lies_is_a_problem_and_the_values_are_still_read(tmp_path):
    path = tmp_path / "t.mrc"
    write_volume(path, Volume(BLOCK, 0.1))
    report = inspect_file(path)
    assert report.kind == "mask"
    assert "--voxel-size" in report.problems[0]
    assert "looks wrong" in report_lines(report)[-1]


def test_report_on_rois_counts_overlap(tmp_path):
    masks = [np.ones((4, 4, 4), dtype=bool)] * 2
    columns = {"confidence_mean": [0.9, 0.7], "membranes": ["1:3", "1:2"], "status": ["kept", "predicted"]}
    rois = rois_from_masks([(0, 0, 0), (2, 0, 0)], masks, (8, 8, 8), 2.0, columns=columns)
    write_rois_archive(tmp_path / "a.npz", rois)
    facts = dict(inspect_file(tmp_path / "a.npz").facts)
    assert facts["ROIs"] == "2"
    assert facts["overlap"].startswith(f"{2 * 16 * 8} nm³")
    assert facts["membranes"] == "1:2, 1:3"
    assert facts["confidence"].startswith("0.7 to 0.9")
    write_rois_archive(tmp_path / "none.npz", rois.at([]))
    assert inspect_file(tmp_path / "none.npz").problems == ["it holds no ROI"]


def test_report_on_a_model(tmp_path):
    pytest.importorskip("torch")
    from tomorois.network.checkpoint import ModelRecord, save_model
    from tomorois.network.msdnet.config import MSDNetConfig
    from tomorois.network.msdnet.module import MSDNet

    path = tmp_path / "m.safetensors"
    training = {
        "tomograms": [
            {"name": "a", "rois": 3, "held_out": False},
            {"name": "b", "rois": 4, "held_out": False},
            {"name": "c", "rois": 2, "held_out": True},
        ],
        "validated": True,
        "dice": 0.8765,
    }
    record = ModelRecord(voxel_size_nm=2.4, threshold=0.4, training=training)
    save_model(path, MSDNet(MSDNetConfig(layers=3, dilations=(1, 2), input_channels=3)), record)
    facts = dict(inspect_file(path).facts)
    assert facts["network"].startswith("3 layers, dilations 1, 2")
    assert facts["network"].endswith(", 3D")
    assert facts["voxel size"].startswith("2.4 nm")
    assert facts["threshold"].startswith("0.4")
    assert "membranes" in facts["sees"]
    assert facts["learned from"] == "7 ROIs of a, b"
    assert facts["held out"] == "2 ROIs of c"
    assert facts["Dice"] == "0.876 of voxels of the tomograms held out"


def test_what_is_no_file_of_ours_is_refused(tmp_path):
    (tmp_path / "text.mrc").write_text("not a volume")
    (tmp_path / "notes.txt").write_text("notes")
    for name in ("text.mrc", "notes.txt", "missing.mrc", "missing.npz", "missing.safetensors"):
        with pytest.raises(InputError, match=name):
            inspect_file(tmp_path / name)


@pytest.mark.skipif(not TE1.is_file(), reason="needs ../shared/data/te1_labels.mrc.gz")
@pytest.mark.slow
def test_te1_is_a_label_volume_with_a_header_that_lies_in_z():
    report = inspect_file(TE1)
    assert report.kind == "label volume"
    assert "mz = 1 while nz = 312" in report.problems[0]
