"""ROI archives that promise or hold what no program wrote are refused before any memory is taken."""

import io
import re
import resource
import zipfile

import numpy as np
import pytest

from tomocore import roiset
from tomocore.archive import opened_archive
from tomocore.contract import InputError
from tomocore.roiset import labels_from_rois, read_rois, rois_from_masks, union_mask, write_rois_archive


@pytest.fixture
def arrays(tmp_path):
    masks = [np.ones((2, 3, 3), bool), np.ones((3, 2, 4), bool)]
    columns = {"membranes": ["1:2", "1:3"], "status": ["kept", "predicted"]}
    rois = rois_from_masks([(0, 1, 1), (2, 4, 3)], masks, (8, 9, 10), 1.5, columns=columns)
    write_rois_archive(tmp_path / "sound.npz", rois)
    with np.load(tmp_path / "sound.npz") as archive:
        return dict(archive)


def refusal(path):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError, match=rf"{re.escape(str(path))}: ") as refused:
        union_mask(read_rois(path))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 * 1024
    assert "\n" not in str(refused.value)
    assert ";" in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ids", np.array("abc")),
        ("ids", np.array([1, 1])),
        ("ids", np.array([1.5, 2.5])),
        ("ids", np.array([2**64 - 1, 3], np.uint64)),
        ("boxes", np.zeros((3, 2, 3), int)),
        ("boxes", np.zeros((2, 2, 3), int)),
        ("boxes", np.array([[[0, 0, 0], [8, 9, 11]], [[0, 0, 0], [1, 1, 1]]])),
        ("boxes", np.array([[[5, 5, 5], [1, 1, 1]], [[0, 0, 0], [1, 1, 1]]])),
        ("bits", np.zeros(3, np.float32)),
        ("bits", np.zeros(0, np.uint8)),
        ("offsets", np.array([0, 0, 0])),
        ("offsets", np.array("x")),
        ("shape", np.array([8, 9])),
        ("shape", np.array([0, 9, 10])),
        ("shape", np.array([2**62, 2**62, 2**62])),
        ("shape", np.array("x")),
        ("voxel_size_nm", np.array("x")),
        ("voxel_size_nm", np.array(np.nan)),
        ("voxel_size_nm", np.array([1.5, 1.5])),
        ("origin_nm", np.array([1.0, np.inf, 2.0])),
        ("origin_nm", np.array(1.0)),
        ("table_status", np.array(["kept"])),
        ("table_confidence_mean", np.array(["high", "low"])),
        ("table_more", np.array([{"a": 1}, None], dtype=object)),
    ],
)
def test_arrays_of_other_types_shapes_and_numbers_are_refused(tmp_path, arrays, name, value):
    np.savez(tmp_path / "a.npz", **{**arrays, name: value})
    refusal(tmp_path / "a.npz")


@pytest.mark.parametrize(
    "shape", ["(4000000000,)", "(-1,)", "(" + "9" * 30 + ",)", "((((((((", "(2, 2**9)", "()"]
)
def test_heads_that_promise_what_is_not_there(tmp_path, arrays, shape):
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as file:
        for name, values in arrays.items():
            member = io.BytesIO()
            np.save(member, values)
            raw = member.getvalue()
            if name == "bits":
                raw = re.sub(rb"\([^)]*\)", shape.encode(), raw[:128], count=1) + raw[128:]
            file.writestr(f"{name}.npy", raw)
    refusal(tmp_path / "a.npz")


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path, arrays):
    """256 MB of zeros in 256 kB, which the boxes do not ask for."""
    np.savez_compressed(tmp_path / "a.npz", **{**arrays, "bits": np.zeros(2**28, np.uint8)})
    assert "do not fit" in refusal(tmp_path / "a.npz")


def test_members_that_are_cut_or_packed_otherwise(tmp_path, arrays):
    np.savez_compressed(tmp_path / "a.npz", **arrays)
    raw = (tmp_path / "a.npz").read_bytes()
    for name, content in {
        "cut": raw[: len(raw) // 2],
        "empty": b"",
        "zip": b"PK\x05\x06" + b"\0" * 18,
    }.items():
        (tmp_path / f"{name}.npz").write_bytes(content)
        refusal(tmp_path / f"{name}.npz")
    with zipfile.ZipFile(tmp_path / "bz2.npz", "w", zipfile.ZIP_BZIP2) as file:
        for name in arrays:
            file.writestr(f"{name}.npy", b"x")
    refusal(tmp_path / "bz2.npz")


def test_letters_that_do_not_exist_are_refused(tmp_path, arrays):
    wrong = np.array([0x110000, 0xD800], np.uint32).view("U1")
    np.savez(tmp_path / "a.npz", **{**arrays, "table_status": wrong})
    assert "letters that do not exist" in refusal(tmp_path / "a.npz")


def test_a_tomogram_that_memory_cannot_hold_is_refused_when_it_is_made(tmp_path, arrays, monkeypatch):
    np.savez(tmp_path / "a.npz", **{**arrays, "shape": np.array([2**20, 2**20, 2**20])})
    rois = read_rois(tmp_path / "a.npz")
    monkeypatch.setattr(roiset, "available_memory_bytes", lambda: 2**33)
    for make in (union_mask, labels_from_rois):
        with pytest.raises(InputError, match="GiB"):
            make(rois)


def test_every_array_comes_back_as_it_was(tmp_path):
    arrays = {
        "fortran": np.asfortranarray(np.arange(12.0).reshape(3, 4)),
        "big": np.arange(5, dtype=">i4"),
        "text": np.array(["Ωμ", "囊泡 x"]),
        "none": np.zeros((0, 3), np.float32),
        "one": np.array(3),
        "true": np.array([True, False]),
    }
    np.savez_compressed(tmp_path / "a.npz", **arrays)
    with opened_archive(tmp_path / "a.npz", "archive") as archive:
        assert set(archive.names) == set(arrays)
        for name, values in arrays.items():
            np.testing.assert_array_equal(archive.array(name), values)
            assert archive.array(name).dtype == values.dtype.newbyteorder("=")
