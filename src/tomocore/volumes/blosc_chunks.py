"""Chunks packed by Blosc, checked before they are unpacked: the library reads on where one is cut short."""

from __future__ import annotations

from typing import Any

import numcodecs
import numcodecs.registry
import zarr.codecs.blosc
from numcodecs.compat import ensure_contiguous_ndarray

from tomocore.machine import available_memory_bytes

HEAD_BYTES = 16
MOST_PACKED = 2**16
"""How many times a chunk may be larger than its bytes; of zeros it is some thousands."""
MOST_BYTES = 2**31 - 1
"""What Blosc can pack into one."""


class CheckedBlosc(numcodecs.Blosc):  # type: ignore[misc]
    """The codec, for chunks that are as long as their heads say."""

    def decode(self, buf: Any, out: Any = None) -> Any:
        """The chunk's bytes. Raises ValueError where its head promises other lengths than can be."""
        raw = memoryview(ensure_contiguous_ndarray(buf)).cast("B")
        if len(raw) < HEAD_BYTES:
            raise ValueError(f"a chunk has {len(raw)} bytes, its head alone {HEAD_BYTES}")
        whole, packed = (int.from_bytes(raw[at : at + 4], "little") for at in (4, 12))
        if packed != len(raw) or whole > min(MOST_PACKED * len(raw), MOST_BYTES, available_memory_bytes()):
            raise ValueError(f"a chunk of {len(raw):,} bytes promises {packed:,} that hold {whole:,}")
        return super().decode(buf, out)


def check_blosc_chunks() -> None:
    """From here on every Zarr array of this process unpacks its chunks by `CheckedBlosc`."""
    numcodecs.registry.register_codec(CheckedBlosc)  # format 2
    setattr(zarr.codecs.blosc, "Blosc", CheckedBlosc)  # noqa: B010 - format 3, which names no other way
