"""Volumes whose files promise what they cannot hold, or hold what no program wrote, end in one line."""

import gzip
import json
import struct
import zlib

import mrcfile
import numpy as np
import pytest
import tifffile
import zarr

from tomocore.contract import InputError
from tomocore.volumes import formats
from tomocore.volumes.formats import inspect_volume, read_volume, write_volume
from tomocore.volumes.volume import Volume

DATA = np.arange(6 * 8 * 10, dtype=np.int16).reshape(6, 8, 10)


def refusal(path, said, **options):
    with pytest.raises(InputError, match=said) as refused:
        read_volume(path, 1.5, **options)
    message = str(refused.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    assert ";" in message
    return message


@pytest.fixture
def mrc(tmp_path):
    path = tmp_path / "a.mrc"
    write_volume(path, Volume(DATA, 1.5))
    return path


def patched(path, at, kind, value):
    raw = bytearray(path.read_bytes())
    struct.pack_into(kind, raw, at, value)
    path.write_bytes(raw)


@pytest.mark.parametrize("value", [2**31 - 1, 2**20, -1, -(2**31)])
def test_an_extended_header_that_is_not_there_is_not_read(mrc, value):
    patched(mrc, 92, "<i", value)
    refusal(mrc, "truncated|not an MRC file")


@pytest.mark.parametrize("lengths", [(2**20, 2**20, 2**20), (2**31 - 1, 1, 1), (0, 8, 6), (-1, 8, 6)])
def test_lengths_that_the_file_cannot_have(mrc, lengths):
    for axis, length in enumerate(lengths):
        patched(mrc, 4 * axis, "<i", length)
    refusal(mrc, "truncated|not an MRC file")


def test_a_packed_file_cannot_hold_more_than_its_packing_allows(mrc, tmp_path):
    patched(mrc, 8, "<i", 2**20)  # sections: 160 MB in 2 kB
    packed = tmp_path / "b.mrc.gz"
    packed.write_bytes(gzip.compress(mrc.read_bytes()))
    refusal(packed, "truncated")


@pytest.mark.parametrize("place", [float("nan"), float("inf")])
def test_places_and_edges_that_are_no_numbers(mrc, place):
    patched(mrc, 196, "<f", place)
    assert read_volume(mrc, 1.5).origin_nm == (0.0, 0.0, 0.0)
    patched(mrc, 44, "<f", place)  # the middle one of the cell's edges
    with pytest.raises(InputError, match="never set"):
        read_volume(mrc)


def packed_zeros(path):
    data = np.zeros((64, 512, 512), np.float32)
    if path.suffix == ".tif":
        tifffile.imwrite(path, data, compression="zlib", metadata={"axes": "ZYX"}, ome=True)
    elif path.suffix == ".gz":
        write_volume(path, Volume(data, 1.5))
    else:
        z, y, x = data.shape
        packed = zlib.compress(data.tobytes())
        head = (
            f"# AmiraMesh BINARY-LITTLE-ENDIAN 2.1\ndefine Lattice {x} {y} {z}\n"
            f"Lattice {{ float Data }} @1(HxZip,{len(packed)})\n@1\n"
        )
        path.write_bytes(head.encode() + packed)


@pytest.mark.parametrize("name", ["a.tif", "a.mrc.gz", "a.am"])
def test_memory_is_asked_for_before_anything_is_decoded(tmp_path, monkeypatch, name):
    path = tmp_path / name
    packed_zeros(path)
    assert path.stat().st_size < 2**20
    assert inspect_volume(path).nbytes == 2**26
    decoded = []
    monkeypatch.setattr(tifffile.TiffPageSeries, "asarray", lambda *_: decoded.append(1))
    monkeypatch.setattr(formats, "available_memory_bytes", lambda: 2**25)
    refusal(path, r"need 0\.1 GiB and 0\.0 GiB are free")
    assert not decoded


@pytest.mark.parametrize("is_big", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
def test_planes_that_follow_each_other_in_a_circle(tmp_path, order, is_big):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path, bigtiff=is_big, byteorder=order) as file:
        for plane in DATA:
            file.write(plane, contiguous=False)
    raw = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as file:
        first, last = file.pages[0].offset, file.pages[-1].offset
    count_kind, place_kind, tag = ("Q", "Q", 20) if is_big else ("H", "I", 12)
    (count,) = struct.unpack_from(order + count_kind, raw, last)
    struct.pack_into(order + place_kind, raw, last + struct.calcsize(count_kind) + count * tag, first)
    assert np.array_equal(read_volume(path, 1.0).data, DATA)
    path.write_bytes(raw)
    refusal(path, "circle")


def image(path, **changes):
    """An OME-Zarr 0.4 image, with values of its metadata exchanged: names of keys as "datasets.0.path"."""
    write_volume(path, Volume(DATA, 1.5))
    told = json.loads((path / ".zattrs").read_text())
    for place, value in changes.items():
        *steps, last = ["multiscales", "0", *place.split("__")]
        inner = told
        for step in steps:
            inner = inner[int(step) if step.isdigit() else step]
        inner[int(last) if last.isdigit() else last] = value
    (path / ".zattrs").write_text(json.dumps(told))
    return path


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("axes", -1),
        ("axes", [{"name": 3}] * 3),
        ("axes__0", {"unit": "nm"}),
        ("datasets", []),
        ("datasets", {"a": 1}),
        ("datasets__0__path", "9"),
        ("datasets__0__path", 3),
        ("datasets__0__path", "../../etc"),
        ("datasets__0__coordinateTransformations", -1),
        ("datasets__0__coordinateTransformations", [{}]),
        ("datasets__0__coordinateTransformations", [{"type": "scale"}]),
        ("datasets__0__coordinateTransformations", [{"type": "scale", "scale": [[1], 1, 1]}]),
        ("datasets__0__coordinateTransformations", [{"type": "scale", "path": "0"}]),
        ("datasets__0__coordinateTransformations", [{"type": "affine"}]),
        ("coordinateTransformations", 0),
    ],
)
def test_metadata_of_images_that_no_program_wrote(tmp_path, place, value):
    refusal(image(tmp_path / "a.zarr", **{place: value}), "zarr: ")


@pytest.mark.parametrize(
    "text", [b"", b"[", b"[" * 100_000, b'{"multiscales": ' + b"9" * 5000 + b"}", b"\xff\xfe"]
)
def test_metadata_that_are_no_json(tmp_path, text):
    path = image(tmp_path / "a.zarr")
    (path / ".zattrs").write_bytes(text)
    refusal(path, "zarr: ")


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("lazy", [False, True])
def test_a_damaged_chunk_is_told_when_it_is_read(tmp_path, version, lazy):
    path = tmp_path / "a.zarr"
    array = zarr.create_array(
        path, shape=DATA.shape, dtype=DATA.dtype, chunks=(6, 8, 10), zarr_format=version
    )
    array[:] = DATA
    chunk = path / ("0.0.0" if version == 2 else "c/0/0/0")
    chunk.write_bytes(chunk.read_bytes()[:20])
    with pytest.raises(InputError, match=r"a part of its voxels cannot be read .*; copy or write it again"):
        np.asarray(read_volume(path, 1.5, lazy=lazy).data[0])


@pytest.mark.parametrize("chunks", [[6, 0, 10], [2**20, 2**20, 2**20]])
def test_chunks_that_memory_cannot_hold_or_are_none(tmp_path, chunks):
    path = image(tmp_path / "a.zarr")
    told = json.loads((path / "0" / ".zarray").read_text())
    (path / "0" / ".zarray").write_text(json.dumps({**told, "chunks": chunks}))
    refusal(path, "zarr: ")


def test_a_sound_file_is_still_read_in_either_byte_order(mrc, tmp_path):
    np.testing.assert_array_equal(read_volume(mrc).data, DATA)
    with mrcfile.new(tmp_path / "big.mrc") as file:
        file.set_data(DATA.astype(">i2"))
        file.voxel_size = 15.0
    np.testing.assert_array_equal(read_volume(tmp_path / "big.mrc").data, DATA)
    np.testing.assert_array_equal(read_volume(image(tmp_path / "a.zarr")).data, DATA)
