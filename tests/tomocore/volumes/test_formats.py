"""Volumes survive every format; headers that lie are refused with the reason."""

import gzip
import logging

import mrcfile
import numpy as np
import pytest
import zarr

from tomocore.contract import InputError
from tomocore.files import written_beside
from tomocore.volumes.formats import inspect_volume, read_volume, write_volume
from tomocore.volumes.lazy import StoredArray
from tomocore.volumes.volume import Volume

MODES = {0: np.int8, 1: np.int16, 2: np.float32, 6: np.uint16, 12: np.float16}


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def write_mrc(path, data, voxel_size_angstrom=8.0, **header):
    with mrcfile.new(path, overwrite=True) as file:
        file.set_data(data)
        file.voxel_size = voxel_size_angstrom
        for name, value in header.items():
            file.header[name] = value
    return path


def byteswapped(path, out, stamp):
    raw = path.read_bytes()
    header = np.frombuffer(raw[:1024], mrcfile.dtypes.HEADER_DTYPE)
    data = np.frombuffer(raw[1024:], MODES[int(header["mode"][0])])
    swapped = bytearray(header.byteswap().tobytes() + data.byteswap().tobytes())
    swapped[212:216] = stamp
    out.write_bytes(swapped)
    return out


@pytest.mark.parametrize("ending", ["mrc", "mrc.gz", "zarr", "tif"])
@pytest.mark.parametrize("kind", [np.int8, np.int16, np.uint16, np.float32])
def test_voxels_edge_and_origin_survive_a_round_trip(tmp_path, rng, ending, kind):
    volume = Volume((rng.random((4, 5, 6)) * 90).astype(kind), 1.37, (10.5, -20.0, 3.25))
    path = tmp_path / f"a.{ending}"
    write_volume(path, volume)
    back = read_volume(path)
    np.testing.assert_array_equal(back.data, volume.data)
    assert back.data.dtype == kind
    assert back.voxel_size_nm == pytest.approx(1.37, rel=1e-6)
    assert back.origin_nm == pytest.approx(volume.origin_nm, rel=1e-6)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("stamp", [b"\x11\x11\0\0", b"\0\0\0\0"], ids=["stamped", "no stamp"])
def test_big_endian_mrc_is_read(tmp_path, rng, mode, stamp):
    data = (rng.random((3, 4, 5)) * 100).astype(MODES[mode])
    little = write_mrc(tmp_path / "little.mrc", data)
    big = byteswapped(little, tmp_path / "big.mrc", stamp)
    np.testing.assert_array_equal(read_volume(big).data, data)
    np.testing.assert_array_equal(read_volume(little).data, data)


def test_gzipped_mrc_equals_the_plain_one(tmp_path, rng):
    plain = write_mrc(tmp_path / "a.mrc", rng.random((3, 4, 5)).astype(np.float32))
    zipped = tmp_path / "a.mrc.gz"
    zipped.write_bytes(gzip.compress(plain.read_bytes()))
    np.testing.assert_array_equal(read_volume(zipped).data, read_volume(plain).data)


def test_lazy_mrc_stays_on_disk(tmp_path, rng):
    path = write_mrc(tmp_path / "a.mrc", rng.random((3, 4, 5)).astype(np.float32))
    assert isinstance(read_volume(path, lazy=True).data, StoredArray)
    assert not isinstance(read_volume(path).data, StoredArray)


def test_unsigned_bytes_of_imod_are_unsigned(tmp_path):
    path = write_mrc(tmp_path / "a.mrc", np.full((2, 3, 4), -56, np.int8))
    raw = bytearray(path.read_bytes())
    raw[152:160] = np.array([1146047817, 0], "<i4").tobytes()
    path.write_bytes(raw)
    assert (read_volume(path).data == 200).all()


def test_voxel_index_and_world_agree_with_the_header_origin(tmp_path):
    path = tmp_path / "a.mrc"
    write_volume(path, Volume(np.zeros((4, 5, 6), np.int8), 2.0, (100.0, 200.0, 300.0)))
    volume = read_volume(path)
    np.testing.assert_allclose(volume.world([[1, 2, 3]]), [[106.0, 204.0, 302.0]])
    np.testing.assert_allclose(volume.index([[106.0, 204.0, 302.0]]), [[1, 2, 3]])
    crop = volume.crop((slice(1, 3), slice(2, 4), slice(3, 5)))
    np.testing.assert_allclose(crop.world([[0, 0, 0]]), volume.world([[1, 2, 3]]))


def test_nonzero_start_moves_the_origin_with_a_warning(tmp_path, caplog):
    path = write_mrc(tmp_path / "a.mrc", np.ones((2, 3, 4), np.int8), 10.0, nxstart=5, nystart=0, nzstart=-2)
    with caplog.at_level(logging.WARNING):
        assert read_volume(path).origin_nm == pytest.approx((5.0, 0.0, -2.0))
    assert "nxstart" in caplog.text


def test_missing_map_stamp_is_read_and_said(tmp_path, caplog):
    path = write_mrc(tmp_path / "a.mrc", np.ones((2, 3, 4), np.int8), map=b"\0\0\0\0")
    with caplog.at_level(logging.WARNING):
        assert read_volume(path).data.sum() == 24
    assert "MAP stamp" in caplog.text


@pytest.mark.parametrize(
    ("cell", "sampling", "reason"),
    [
        ((0, 0, 0), (4, 3, 2), "never set"),
        ((4, 3, 2), (4, 3, 2), "exactly 1 Å"),
        ((40, 30, 20), (4, 3, 1), "mz = 1 while nz = 2"),
        ((0.04, 0.03, 0.02), (4, 3, 2), "a unit is wrong"),
        ((40e3, 30e3, 20e3), (4, 3, 2), "a unit is wrong"),
    ],
)
def test_unbelievable_voxel_size_is_refused_with_the_reason(tmp_path, cell, sampling, reason):
    names = dict(zip(("mx", "my", "mz"), sampling, strict=True))
    path = write_mrc(tmp_path / "a.mrc", np.ones((2, 3, 4), np.int8), cella=cell, **names)
    with pytest.raises(InputError, match=reason) as refusal:
        read_volume(path)
    assert "--voxel-size" in str(refusal.value)
    assert str(path) in str(refusal.value)
    assert read_volume(path, voxel_size_nm=1.5).voxel_size_nm == 1.5


@pytest.mark.parametrize("bad", [0.0, -1.0, float("nan")])
def test_a_voxel_size_given_must_be_positive(tmp_path, bad):
    path = write_mrc(tmp_path / "a.mrc", np.ones((2, 3, 4), np.int8))
    with pytest.raises(InputError, match="positive"):
        read_volume(path, voxel_size_nm=bad)


@pytest.mark.parametrize("name", ["a.tif.gz", "a.am.bz2", "a.h5.gz"])
def test_other_packed_files_are_to_be_unpacked(tmp_path, name):
    (tmp_path / name).write_bytes(gzip.compress(b"hello"))
    with pytest.raises(InputError, match=f"{name}: .*unpack it first"):
        read_volume(tmp_path / name)


@pytest.mark.parametrize("name", ["m.tif.gz", "m.nii.gz", "m.gz", "m.rec"])
def test_no_volume_is_written_under_a_name_that_none_would_be_read_by(tmp_path, name):
    with pytest.raises(InputError, match=r"volumes are written as \.mrc, \.mrc\.gz"):
        write_volume(tmp_path / name, Volume(np.zeros((2, 3, 4), np.int8), 1.0))
    assert not list(tmp_path.iterdir())


def test_a_folder_is_told_as_one(tmp_path):
    with pytest.raises(InputError, match="is a folder, and no OME-Zarr image"):
        read_volume(tmp_path)


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_volume(tmp_path / "a.mrc")


def test_empty_file(tmp_path):
    (tmp_path / "a.mrc").touch()
    with pytest.raises(InputError, match="empty"):
        read_volume(tmp_path / "a.mrc")


def test_truncated_file_says_how_much_is_missing(tmp_path):
    path = write_mrc(tmp_path / "a.mrc", np.ones((20, 30, 40), np.float32))
    whole = path.read_bytes()
    path.write_bytes(whole[:5000])
    with pytest.raises(InputError, match=r"truncated.*97,024 bytes.*5,000"):
        read_volume(path)
    zipped = tmp_path / "a.mrc.gz"
    zipped.write_bytes(gzip.compress(whole)[:-20])
    with pytest.raises(InputError, match=r"unpacked|truncated"):
        read_volume(zipped)


@pytest.mark.parametrize("text", ["hello", "hello world " * 300])
def test_text_posing_as_mrc(tmp_path, text):
    path = tmp_path / "a.mrc"
    path.write_text(text)
    with pytest.raises(InputError, match="not an MRC file"):
        read_volume(path)


@pytest.mark.parametrize("name", ["a.tif", "a.zarr"])
def test_text_posing_as_another_format(tmp_path, name):
    (tmp_path / name).write_text("hello world")
    with pytest.raises(InputError, match=r"TIFF|OME-Zarr"):
        read_volume(tmp_path / name)


def test_unknown_ending_names_what_can_be_read(tmp_path):
    (tmp_path / "a.png").write_text("x")
    with pytest.raises(InputError, match="OME-Zarr"):
        read_volume(tmp_path / "a.png")


def test_unknown_mode_is_named(tmp_path):
    path = write_mrc(tmp_path / "a.mrc", np.ones((2, 3, 4), np.complex64))
    with pytest.raises(InputError, match="mode 4"):
        inspect_volume(path)


def test_more_than_memory_is_refused_before_reading(tmp_path):
    path = write_mrc(tmp_path / "a.mrc", np.ones((2, 3, 4), np.float32))
    with path.open("r+b") as file:
        file.write(np.array([5000, 5000, 5000], "<i4").tobytes())
        file.truncate(1024 + 4 * 5000**3)  # sparse: takes no disk
    with pytest.raises(InputError, match="GiB are free"):
        read_volume(path, voxel_size_nm=1.0)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_ome_zarr_units_and_leading_axes(tmp_path, version):
    path = tmp_path / "a.ome.zarr"
    group = zarr.open_group(path, mode="w", zarr_format=2 if version == "0.4" else 3)
    group.create_array("0", data=np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4))
    axes = [{"name": "c", "type": "channel"}]
    axes += [{"name": axis, "type": "space", "unit": "angstrom"} for axis in "zyx"]
    scale = [{"type": "scale", "scale": [1, 13.4, 13.4, 13.4]}]
    image = {"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": scale}]}
    if version == "0.4":
        group.attrs["multiscales"] = [image | {"version": "0.4"}]
    else:
        group.attrs["ome"] = {"version": "0.5", "multiscales": [image]}
    volume = read_volume(path)
    assert volume.voxel_size_nm == pytest.approx(1.34)
    np.testing.assert_array_equal(volume.data.ravel(), np.arange(24))
    np.testing.assert_array_equal(read_volume(path, lazy=True).data[1, :2, 3], [15, 19])


def test_plain_tiff_has_no_believable_voxel_size(tmp_path):
    import tifffile

    tifffile.imwrite(tmp_path / "a.tif", np.ones((2, 30, 40), np.uint8))
    with pytest.raises(InputError, match="never set"):
        read_volume(tmp_path / "a.tif")


def test_imagej_tiff_in_micrometres(tmp_path):
    import tifffile

    data = np.ones((2, 30, 40), np.uint16)
    meta = {"axes": "ZYX", "unit": "um", "spacing": 0.0015}
    tifffile.imwrite(
        tmp_path / "a.tif", data, imagej=True, resolution=(1 / 0.0015, 1 / 0.0015), metadata=meta
    )
    assert read_volume(tmp_path / "a.tif").voxel_size_nm == pytest.approx(1.5, rel=1e-3)


def test_wide_labels_are_narrowed_or_refused(tmp_path):
    write_volume(tmp_path / "a.mrc", Volume(np.array([[[0, 40000]]], np.int64), 1.0, (0, 0, 0)))
    assert inspect_volume(tmp_path / "a.mrc").dtype == np.uint16
    with pytest.raises(InputError, match="renumber"):
        write_volume(tmp_path / "b.mrc", Volume(np.array([[[0, 70000]]], np.int64), 1.0))
    assert not (tmp_path / "b.mrc").exists()


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail():
        with written_beside(path) as beside:
            beside.write_text("half")
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        fail()
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    assert path.read_text() == "old"
