"""HDF5 volumes as ilastik, EMAN2, Fiji and plain programs write them."""

import json
import random
import zlib

import h5py
import numpy as np
import pytest
from fuzz.format import damaged
from fuzz.formats import FORMATS

from tomocore.contract import InputError
from tomocore.provenance import file_hash
from tomocore.volumes import hdf5_process
from tomocore.volumes.formats import inspect_volume, read_volume, write_volume
from tomocore.volumes.volume import Volume

DATA = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)


def write_h5(path, data=DATA, name="exported_data", axes=None, **attributes):
    with h5py.File(path, "a") as file:
        dataset = file.create_dataset(name, data=data)
        if axes:
            dataset.attrs["axistags"] = json.dumps({"axes": [{"key": axis} for axis in axes]})
        for key, value in attributes.items():
            dataset.attrs[key] = value
    return path


@pytest.mark.parametrize("ending", ["h5", "hdf5", "hdf", "H5"])
@pytest.mark.parametrize("lazy", [False, True])
def test_the_only_stack_is_read_and_its_size_in_micrometres(tmp_path, ending, lazy):
    path = write_h5(tmp_path / f"a.{ending}", element_size_um=(0.0015,) * 3)
    volume = read_volume(path, lazy=lazy)
    np.testing.assert_array_equal(volume.data, DATA)
    np.testing.assert_array_equal(volume.data[1, ::2, 1:3], DATA[1, ::2, 1:3])
    assert volume.voxel_size_nm == pytest.approx(1.5)


@pytest.mark.parametrize("axes", ["zyx", "xyz", "zyxc", "tzyxc", "czyx"])
def test_axistags_of_ilastik_order_the_axes(tmp_path, axes):
    order = ["zyx".index(axis) for axis in axes if axis in "zyx"]
    shape = [DATA.shape["zyx".index(axis)] if axis in "zyx" else 1 for axis in axes]
    path = write_h5(tmp_path / "a.h5", DATA.transpose(order).reshape(shape), axes=axes)
    np.testing.assert_array_equal(read_volume(path, 1.5).data, DATA)


@pytest.mark.parametrize("shape", [(1, 2, 3, 4), (2, 3, 4, 1), (1, 2, 3, 4, 1)])
def test_single_axes_without_names_are_left_out(tmp_path, shape):
    path = write_h5(tmp_path / "a.h5", DATA.reshape(shape))
    np.testing.assert_array_equal(read_volume(path, 1.5).data, DATA)
    one = write_h5(tmp_path / "b.h5", DATA[:1])
    assert read_volume(one, 1.5).shape == (1, 3, 4)


def test_sizes_by_axis_are_z_y_x_and_may_differ(tmp_path):
    path = write_h5(tmp_path / "a.h5", element_size_um=(0.002, 0.001, 0.001))
    header = inspect_volume(path)
    assert header.voxel_size_nm == pytest.approx((1.0, 1.0, 2.0))
    assert header.anisotropic
    assert read_volume(path, resample=True).shape == (4, 3, 4)


def test_eman2_tells_angstrom(tmp_path):
    path = write_h5(tmp_path / "a.hdf", DATA.astype(np.float32), "MDF/images/0/image")
    with h5py.File(path, "a") as file:
        for axis in "xyz":
            file["MDF/images/0"].attrs[f"EMAN.apix_{axis}"] = 13.48
    assert read_volume(path).voxel_size_nm == pytest.approx(1.348)


def test_without_a_size_the_reason_is_said(tmp_path):
    with pytest.raises(InputError, match=r"it has no attribute element_size_um.*--voxel-size"):
        read_volume(write_h5(tmp_path / "a.h5"))


def test_one_of_several_stacks_is_named_behind_the_file(tmp_path):
    path = write_h5(tmp_path / "a.h5", name="raw/image")
    write_h5(path, DATA + 1, name="labels/er")
    write_h5(path, np.arange(5), name="table")
    with pytest.raises(
        InputError, match=r"2 stacks \(labels/er, raw/image\); give one, such as .*a\.h5/labels/er"
    ):
        read_volume(path)
    np.testing.assert_array_equal(read_volume(path / "labels" / "er", 1.5).data, DATA + 1)
    np.testing.assert_array_equal(read_volume(path / "raw", 1.5).data, DATA)
    with pytest.raises(InputError, match="holds no golgi but labels/er, raw/image"):
        read_volume(path / "golgi", 1.5)


def test_channels_tables_and_text_are_refused_in_words(tmp_path):
    with pytest.raises(InputError, match=r"\(2 z, 3 y, 4 x, 2 c\); export one channel"):
        read_volume(write_h5(tmp_path / "c.h5", np.stack([DATA, DATA], -1), axes="zyxc"), 1.5)
    with pytest.raises(InputError, match="holds no stack of numbers"):
        read_volume(write_h5(tmp_path / "t.h5", np.arange(4)), 1.5)
    (tmp_path / "x.h5").write_text("hello")
    with pytest.raises(InputError, match=r"x\.h5: cannot be read as HDF5"):
        read_volume(tmp_path / "x.h5")
    with pytest.raises(InputError, match="no such file"):
        read_volume(tmp_path / "missing.h5")


def test_hdf5_is_not_written(tmp_path):
    with pytest.raises(InputError, match="choose one of these"):
        write_volume(tmp_path / "a.h5", Volume(DATA, 1.0))


def test_the_hash_of_a_stack_is_that_of_its_file(tmp_path):
    path = write_h5(tmp_path / "a.h5", name="labels/er")
    assert file_hash(path / "labels" / "er") == file_hash(path)


@pytest.mark.parametrize("packing", [{}, {"compression": "gzip"}, {"compression": "gzip", "shuffle": True}])
@pytest.mark.parametrize("fletcher32", [False, True])
def test_a_chunk_that_unpacks_to_too_little_is_refused_when_its_part_is_read(tmp_path, packing, fletcher32):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset(
            "a", data=np.full((6, 8, 9), 7, np.int16), chunks=(3, 8, 8), fletcher32=fletcher32, **packing
        )
        stored = zlib.compress(b"\5" * 50) if packing else b"\5" * 50
        dataset.id.write_direct_chunk((3, 0, 0), stored, filter_mask=4 if fletcher32 and packing else 0)
    volume = read_volume(path, voxel_size_nm=1, lazy=True)
    assert (np.asarray(volume.data[:3]) == 7).all()
    with pytest.raises(InputError, match=r"a\.h5: a chunk of it is damaged|a part of its voxels"):
        np.asarray(volume.data[3:])


def test_chunks_that_were_never_written_hold_the_fill_value(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset("a", (6, 8, 9), np.uint8, chunks=(3, 8, 8), compression="gzip")
        dataset[:3] = 7
    assert np.unique(read_volume(path, voxel_size_nm=1).data[3:]).tolist() == [0]


def test_a_file_that_the_library_follows_without_end_is_refused(tmp_path, monkeypatch):
    """One of the damaged files of the fuzz: an attribute whose storage leads back to itself."""
    monkeypatch.setattr(hdf5_process, "SECONDS", 2)
    HDF5 = FORMATS["HDF5"]
    HDF5.make(tmp_path / "sound.h5")
    damaged(HDF5, tmp_path / "sound.h5", tmp_path / "a.h5", random.Random("HDF5 202612020179"))
    with pytest.raises(InputError, match=r"a\.h5: is damaged: reading it does not come to an end"):
        inspect_volume(tmp_path / "a.h5")
