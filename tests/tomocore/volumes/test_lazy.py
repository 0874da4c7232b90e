"""Voxels left on disk are indexed as arrays are, in any byte order, and a file cut short is an error."""

import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tomocore.contract import InputError
from tomocore.volumes.formats import read_volume, write_volume
from tomocore.volumes.lazy import OrderedView, StoredArray, parts_of
from tomocore.volumes.volume import Volume

SHAPE = (4, 5, 6)


def part(length):
    ends = st.none() | st.integers(-length - 2, length + 2)
    steps = st.none() | st.sampled_from([1, 2, 3, -1, -2])
    return st.builds(slice, ends, ends, steps) | st.integers(-length, length - 1)


keys = st.tuples(*(part(n) for n in SHAPE)) | part(4) | st.tuples(part(4), part(5)) | st.just(Ellipsis)


@pytest.fixture(scope="module", params=["<i2", ">i2", ">f4", "u1"])
def stored(request, tmp_path_factory):
    data = np.arange(120).reshape(SHAPE).astype(request.param)
    path = tmp_path_factory.mktemp("stored") / "a.raw"
    path.write_bytes(b"header!" + data.tobytes())
    return StoredArray(path, data.dtype, 7, SHAPE), data


@given(key=keys)
@settings(max_examples=200, deadline=None)
def test_a_stored_array_is_indexed_as_an_array_is(stored, key):
    lazy, data = stored
    read = lazy[key]
    np.testing.assert_array_equal(read, data[key])
    assert read.dtype.isnative


@given(key=keys, axes=st.permutations([0, 1, 2]))
@settings(max_examples=100, deadline=None)
def test_a_view_in_another_order_is_indexed_as_the_transposed_array(stored, key, axes):
    lazy, data = stored
    turned = data.transpose(axes)
    if isinstance(key, tuple) or key is Ellipsis or turned.shape == SHAPE:
        try:
            wanted = turned[key]
        except IndexError:
            return
        np.testing.assert_array_equal(OrderedView(lazy, tuple(axes), lazy.path)[key], wanted)


def test_blocks_are_all_voxels_in_order(stored, monkeypatch):
    monkeypatch.setattr("tomocore.volumes.lazy.BLOCK_BYTES", 70)
    lazy, data = stored
    np.testing.assert_array_equal(np.concatenate(list(lazy.blocks())), data.ravel())


@pytest.mark.parametrize("ending", [".mrc", ".tif"])
def test_a_file_that_becomes_shorter_under_a_reader_is_an_error_and_no_crash(tmp_path, ending):
    path = tmp_path / f"a{ending}"
    write_volume(path, Volume(np.ones((16, 64, 64), np.float32), 1.5))
    lazy = read_volume(path, lazy=True).data
    assert lazy[15].sum() == 4096
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(InputError, match="has become shorter"):
        lazy[15].sum()
    os.truncate(path, 0)
    with pytest.raises(InputError, match="has become shorter"):
        np.asarray(lazy)


def test_whatever_a_library_raises_over_a_part_becomes_a_line_with_the_file(tmp_path):
    class Broken:
        shape, dtype = SHAPE, np.dtype(np.uint8)

        def __getitem__(self, key):
            raise RuntimeError("error during blosc decompression: -1\nsecond line")

    with pytest.raises(InputError, match=r"a\.zarr: .*blosc.*copy or write it again") as refused:
        OrderedView(Broken(), (0, 1, 2), tmp_path / "a.zarr")[0]
    assert "\n" not in str(refused.value)


class Chunked:
    """An array in chunks, by the names that Zarr and HDF5 give them."""

    def __init__(self, data, chunks):
        self.data, self.shape, self.dtype, self.chunks = data, data.shape, data.dtype, chunks

    def __getitem__(self, key):
        return self.data[key]


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1)])
def test_parts_cover_all_voxels_once_along_the_borders_of_chunks(tmp_path, axes):
    data = np.arange(5 * 7 * 9).reshape(5, 7, 9)
    view = OrderedView(Chunked(data, (2, 3, 4)), axes, tmp_path)
    parts = list(parts_of(view))
    counts = np.zeros(view.shape, int)
    for part in parts:
        counts[part] += 1
    assert (counts == 1).all()
    chunks = [(2, 3, 4)[axis] for axis in axes]
    assert all(z.start % chunks[0] == 0 and y.start % chunks[1] == 0 for z, y in parts)
    assert len(parts) == np.prod([-(-n // c) for n, c in zip(view.shape[:2], chunks[:2], strict=True)])


def test_parts_of_a_plain_file_are_some_planes(stored, monkeypatch):
    monkeypatch.setattr("tomocore.volumes.lazy.BLOCK_BYTES", 70)
    lazy, data = stored
    planes = max(1, 70 // (30 * data.dtype.itemsize))
    assert [len(range(4)[z]) for z, _ in parts_of(lazy)] == [
        min(planes, 4 - at) for at in range(0, 4, planes)
    ]
    read = np.concatenate([lazy[part] for part in parts_of(lazy)])
    np.testing.assert_array_equal(read, data)
