"""Chunks packed by Blosc and cut short end in a line, in both formats of Zarr, not in a crash."""

import numcodecs
import numpy as np
import pytest
import zarr

from tomocore.contract import InputError
from tomocore.volumes.blosc_chunks import CheckedBlosc
from tomocore.volumes.formats import read_volume

DATA = np.random.default_rng(2).normal(size=(20, 30, 30)).astype(np.float32)


@pytest.mark.parametrize("name", ["lz4", "zstd", "blosclz", "zlib"])
def test_a_chunk_that_is_not_as_long_as_its_head_says_is_refused(name):
    codec = CheckedBlosc(name)
    packed = bytes(codec.encode(DATA))
    np.testing.assert_array_equal(np.frombuffer(codec.decode(packed), np.float32), DATA.ravel())
    for wrong in (b"", packed[:10], packed[:16], packed[:-1], packed + b"\0", packed[: len(packed) // 2]):
        with pytest.raises(ValueError, match="chunk"):
            codec.decode(wrong)
    for length in (2**31, 2**32 - 1):
        with pytest.raises(ValueError, match="promises"):
            codec.decode(packed[:4] + length.to_bytes(4, "little") + packed[8:])


@pytest.mark.parametrize("form", [2, 3])
def test_an_array_with_a_chunk_cut_short_is_refused(tmp_path, form):
    path = tmp_path / "a.zarr"
    packer = numcodecs.Blosc("lz4") if form == 2 else zarr.codecs.BloscCodec(cname="lz4")
    zarr.create_array(path, data=DATA, chunks=DATA.shape, compressors=packer, zarr_format=form)
    np.testing.assert_array_equal(read_volume(path, 2.0).data, DATA)
    (chunk,) = (one for one in path.rglob("*") if one.is_file() and one.stat().st_size > 10_000)
    chunk.write_bytes(chunk.read_bytes()[:5000])
    with pytest.raises(InputError, match=r"a\.zarr: a part of its voxels cannot be read \(a chunk of 5,000"):
        read_volume(path, 2.0)
