"""Chunks of HDF5, held against their length before the library hands them on.

Where a chunk unpacks to fewer bytes than it has voxels, HDF5 says nothing: it fills the rest with whatever
its memory held. So each chunk is looked at once, before it is read for the first time.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from tomocore.contract import InputError

DEFLATE, SHUFFLE, FLETCHER32 = 1, 2, 3
"""Numbers of the filters whose length can be told; of a chunk packed by another one it is not."""
FLETCHER32_BYTES = 4


class WholeChunks:
    """A dataset as an array on disk, indexed by whole numbers and slices; chunks cut short are refused.

    Raises InputError naming ``path`` where a chunk that was asked for holds fewer voxels than it should.
    """

    def __init__(self, dataset: Any, path: Path) -> None:
        self.dataset = dataset
        self.path = path
        self.shape: tuple[int, ...] = dataset.shape
        self.ndim: int = dataset.ndim
        self.dtype: np.dtype[Any] = dataset.dtype
        pipeline = dataset.id.get_create_plist()
        self._filters = [int(pipeline.get_filter(n)[0]) for n in range(pipeline.get_nfilters())]
        self._known: set[tuple[int, ...]] = set()

    def __getitem__(self, key: tuple[int | slice, ...]) -> np.ndarray[Any, Any]:
        for corner in self._corners(key):
            if corner not in self._known:
                self._require_whole(corner)
                self._known.add(corner)
        read: np.ndarray[Any, Any] = self.dataset[key]
        return read

    def _corners(self, key: tuple[int | slice, ...]) -> Iterator[tuple[int, ...]]:
        """The first voxels of all chunks that a selection touches."""
        if not self.dataset.chunks:
            return
        ways = []
        for part, length, edge in zip(key, self.shape, self.dataset.chunks, strict=True):
            places = range(*part.indices(length)) if isinstance(part, slice) else (part % length,)
            ways.append(sorted({place // edge * edge for place in places}))
        yield from product(*ways)

    def _require_whole(self, corner: tuple[int, ...]) -> None:
        stored = self.dataset.id.get_chunk_info_by_coord(corner)
        if not stored.size:  # never written: all of it has the fill value
            return
        wanted = math.prod(self.dataset.chunks) * self.dtype.itemsize
        found = self._unpacked_bytes(corner, stored.filter_mask, stored.size, wanted)
        if found is not None and found < wanted:
            raise InputError(
                f"{self.path}: a chunk of it is damaged ({found} bytes of voxels where {wanted} belong); "
                "copy or write it again"
            )

    def _unpacked_bytes(self, corner: tuple[int, ...], skipped: int, stored: int, wanted: int) -> int | None:
        """How many bytes a chunk unpacks to, counted up to ``wanted``; None where a filter is not known.

        ``skipped`` has a bit for each filter that the chunk went without.
        """
        applied = [number for n, number in enumerate(self._filters) if not skipped >> n & 1]
        if not set(applied) <= {DEFLATE, SHUFFLE, FLETCHER32}:
            return None
        if DEFLATE not in applied:
            return stored - FLETCHER32_BYTES * applied.count(FLETCHER32)
        packed = self.dataset.id.read_direct_chunk(corner)[1]
        for number in reversed(applied):
            if number == FLETCHER32:
                packed = packed[:-FLETCHER32_BYTES]
            elif number == DEFLATE:
                packed = zlib.decompressobj().decompress(packed, wanted + FLETCHER32_BYTES)
        return len(packed)
