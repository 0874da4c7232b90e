"""MRC headers: signed bytes or not, the order of axes, one place from two fields, stacks, packed files."""

import bz2
import gzip
import itertools
import logging

import mrcfile
import numpy as np
import pytest

from tomocore.contract import InputError
from tomocore.volumes.formats import inspect_volume, read_volume
from tomocore.volumes.lazy import OrderedView, StoredArray

LABELS = np.zeros((4, 5, 6), np.uint8)
LABELS[1, 2, 3], LABELS[2, 2, 2] = 200, 1


def write_mrc(path, data, voxel_size_angstrom=10.0, **header):
    with mrcfile.new(path, overwrite=True) as file:
        file.set_data(data)
        file.set_volume()
        file.voxel_size = voxel_size_angstrom
        for name, value in header.items():
            if isinstance(value, tuple):
                for axis, number in zip("xyz", value, strict=True):
                    file.header[name][axis] = number
            else:
                file.header[name] = value
    return path


def grey_bytes(low, high):
    rng = np.random.default_rng(3)
    return np.clip(rng.normal((low + high) / 2, 30, (12, 20, 20)), low, high).astype(np.int64)


@pytest.mark.parametrize(
    ("dmin", "dmax", "reason"),
    [
        (0, 200, "maximum is 200"),
        (0, 255, "maximum is 255"),
        (0, 1, "minimum is 0"),  # written before the labels were changed
        (0, 0, "values look so"),  # never set
        (0, -1, "values look so"),
    ],
)
def test_labels_above_127_are_read_and_the_reason_is_said(tmp_path, caplog, dmin, dmax, reason):
    path = write_mrc(tmp_path / "a.mrc", LABELS.view(np.int8), dmin=dmin, dmax=dmax)
    with caplog.at_level(logging.WARNING):
        data = read_volume(path).data
    np.testing.assert_array_equal(data, LABELS)
    assert "unsigned" in caplog.text
    assert reason in caplog.text


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("stamped", [(0, 0), (0, -1)])
def test_grey_bytes_without_statistics_are_told_by_their_histogram(tmp_path, stamped, packed):
    dmin, dmax = stamped
    for values, kind in ((grey_bytes(0, 255), np.uint8), (grey_bytes(-128, 127), np.int8)):
        path = write_mrc(tmp_path / "a.mrc", values.astype(kind).view(np.int8), dmin=dmin, dmax=dmax)
        if packed:
            (tmp_path / "a.mrc.gz").write_bytes(gzip.compress(path.read_bytes()))
            path = tmp_path / "a.mrc.gz"
        assert inspect_volume(path).dtype == kind
        np.testing.assert_array_equal(read_volume(path).data, values)


@pytest.mark.parametrize("values", [(200, 1), (255, 255), (200, 255)])
def test_labels_are_never_negative_whatever_the_header_computed(tmp_path, caplog, values):
    """mrcfile takes unsigned bytes viewed as signed for what they are called, and writes minima below 0."""
    data = LABELS.copy()
    data[1, 2, 3], data[2, 2, 2] = values
    with caplog.at_level(logging.WARNING):
        np.testing.assert_array_equal(
            read_volume(write_mrc(tmp_path / "a.mrc", data.view(np.int8))).data, data
        )
    assert "its labels would be negative" in caplog.text


def test_a_minus_one_beside_labels_marks_what_is_ignored(tmp_path):
    data = LABELS.astype(np.int8)
    data[1, 2, 3] = -1
    np.testing.assert_array_equal(read_volume(write_mrc(tmp_path / "a.mrc", data)).data, data)


def test_signed_bytes_stay_signed_and_small_ones_need_no_word(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        signed = read_volume(write_mrc(tmp_path / "a.mrc", np.array([[[-56, 0, 5]]], np.int8)))
        small = read_volume(write_mrc(tmp_path / "b.mrc", np.array([[[1, 0, 5]]], np.int8)))
    assert signed.data.tolist() == [[[-56, 0, 5]]]
    assert small.data.dtype == np.int8
    assert not caplog.records


@pytest.mark.parametrize("order", list(itertools.permutations((1, 2, 3))))
@pytest.mark.parametrize("lazy", [False, True])
def test_axes_are_put_in_order_with_sizes_starts_and_place(tmp_path, order, lazy):
    data = np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6)  # z, y, x
    mapc, mapr, maps = order
    stored = np.ascontiguousarray(data.transpose([3 - axis for axis in (maps, mapr, mapc)]))
    starts = {1: 7, 2: 8, 3: 9}  # along x, y, z
    path = write_mrc(
        tmp_path / "a.mrc", stored, mapc=mapc, mapr=mapr, maps=maps, mx=6, my=5, mz=4,
        cella=(60, 50, 40), nxstart=starts[mapc], nystart=starts[mapr], nzstart=starts[maps],
    )  # fmt: skip
    volume = read_volume(path, lazy=lazy)
    np.testing.assert_array_equal(volume.data, data)
    assert volume.voxel_size_nm == pytest.approx(1.0)
    assert volume.origin_nm == pytest.approx((7.0, 8.0, 9.0))
    assert isinstance(volume.data, StoredArray | OrderedView) == lazy
    assert lazy or volume.data.flags.c_contiguous


def test_samplings_written_in_the_order_of_the_file_are_no_lie(tmp_path):
    path = write_mrc(tmp_path / "a.mrc", np.ones((6, 5, 4), np.int8), mapc=3, mapr=2, maps=1)
    assert read_volume(path).voxel_size_nm == pytest.approx(1.0)


@pytest.mark.parametrize("order", [(1, 1, 3), (1, 2, 4), (0, 1, 2), (-1, 2, 3)])
def test_an_impossible_order_is_refused(tmp_path, order):
    mapc, mapr, maps = order
    path = write_mrc(tmp_path / "a.mrc", LABELS.view(np.int8), mapc=mapc, mapr=mapr, maps=maps)
    with pytest.raises(InputError, match=r"a\.mrc: .*no order of x, y and z.*mend"):
        read_volume(path)


@pytest.mark.parametrize(
    ("origin", "starts", "place", "said"),
    [
        ((40, 50, 60), (0, 0, 0), (4, 5, 6), ""),
        ((0, 0, 0), (4, 5, 6), (4, 5, 6), "taken as its place"),
        ((40, 50, 60), (4, 5, 6), (4, 5, 6), ""),
        ((40, 50, 60), (-3, 0, 0), (4, 5, 6), "the origin is taken"),
        ((float("nan"), 0, 0), (0, 0, 0), (0, 0, 0), "no number"),
    ],
)
def test_a_place_told_twice_counts_once(tmp_path, caplog, origin, starts, place, said):
    x, y, z = starts
    path = write_mrc(
        tmp_path / "a.mrc", LABELS.view(np.int8), dmax=200, dmin=0, origin=origin,
        nxstart=x, nystart=y, nzstart=z,
    )  # fmt: skip
    with caplog.at_level(logging.WARNING):
        assert read_volume(path).origin_nm == pytest.approx(place)
    assert said in caplog.text
    assert bool(said) == (len(caplog.records) == 2)  # beside the note on unsigned bytes


def test_a_start_in_voxels_follows_the_voxel_size_given(tmp_path):
    path = write_mrc(tmp_path / "a.mrc", np.ones((2, 3, 4), np.int8), 1.0, nxstart=10)
    assert read_volume(path, voxel_size_nm=1.5).origin_nm == pytest.approx((15.0, 0, 0))


def test_stacks_of_volumes_are_refused_and_a_stack_of_one_is_a_volume(tmp_path):
    path = write_mrc(tmp_path / "a.mrc", np.ones((12, 3, 4), np.int8), ispg=401, mz=4, cella=(40, 30, 40))
    with pytest.raises(InputError, match=r"3 volumes of 4 sections.*trimvol -z 1,4"):
        inspect_volume(path)
    one = write_mrc(tmp_path / "b.mrc", np.ones((12, 3, 4), np.int8), ispg=401)
    assert read_volume(one).shape == (12, 3, 4)


def test_a_stack_of_images_is_called_so(tmp_path, caplog):
    path = write_mrc(tmp_path / "a.mrc", np.ones((12, 3, 4), np.int8), ispg=0, mz=1, cella=(40, 30, 10))
    with caplog.at_level(logging.WARNING):
        assert read_volume(path).voxel_size_nm == 1.0
    assert "stack of images" in caplog.text


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress])
@pytest.mark.parametrize("extended", [0, 1024])
def test_packed_files_are_told_by_their_first_bytes(tmp_path, pack, extended):
    data = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)
    plain = write_mrc(tmp_path / "a.mrc", data)
    if extended:
        with mrcfile.open(plain, "r+") as file:
            file.set_extended_header(np.zeros(extended, "V1"))
    whole = plain.read_bytes()
    for name in ("b.mrc.bz2", "b.mrc.gz", "b.mrc"):
        (tmp_path / name).write_bytes(pack(whole))
        np.testing.assert_array_equal(read_volume(tmp_path / name).data, data)
    (tmp_path / "cut.mrc.bz2").write_bytes(pack(whole)[:-30])
    with pytest.raises(InputError, match=r"unpacked|truncated|not an MRC"):
        read_volume(tmp_path / "cut.mrc.bz2")
