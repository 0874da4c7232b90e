"""Voxels left on disk: read part by part as they are asked for, their axes brought to z, y, x.

Nothing is memory-mapped. A file that becomes shorter while it is mapped ends the whole process with a bus
error; read as here, it ends in an `InputError` that names the file.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tomocore.contract import InputError
from tomocore.side_files import some_of

BLOCK_BYTES = 2**24


class StoredArray:
    """Voxels that lie plainly in a file from ``offset`` on, in C order, in the byte order of ``dtype``.

    Indexed by whole numbers and slices as an array is; what is read comes in native byte order. Raises
    InputError where the file has become shorter than its header promised.
    """

    def __init__(self, path: Path, dtype: Any, offset: int, shape: tuple[int, int, int]) -> None:
        self.path = path
        self.stored = np.dtype(dtype)
        self.dtype = self.stored.newbyteorder("=")
        self.offset = offset
        self.shape = shape
        self.ndim = 3
        self.size = math.prod(shape)
        self.nbytes = self.size * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> NDArray[Any]:
        wanted = _whole_key(key if isinstance(key, tuple) else (key,))
        if not all(isinstance(part, slice | int | np.integer) for part in wanted):
            return np.asarray(self)[key]
        z, y, x = (_range(part, n) for part, n in zip(wanted, self.shape, strict=True))
        block = self._read(z, y, x)
        return block[tuple(slice(None) if isinstance(part, slice) else 0 for part in wanted)]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self[...], dtype=dtype)

    def blocks(self) -> Iterator[NDArray[Any]]:
        """All voxels in the order stored, some whole planes at a time."""
        planes = max(1, BLOCK_BYTES // max(1, self.nbytes // self.shape[0]))
        for start in range(0, self.shape[0], planes):
            yield self[start : start + planes].reshape(-1)

    def _read(self, z: range, y: range, x: range) -> NDArray[Any]:
        """The voxels at three ranges of places, in native byte order; only planes asked for are read."""
        _, rows, columns = self.shape
        out = np.empty((len(z), len(y), len(x)), self.stored)
        if out.size == 0:
            return out.astype(self.dtype)
        top, bottom = min(y), max(y) + 1
        is_whole = x == range(columns) and y == range(top, bottom)
        plane = np.empty((0 if is_whole else bottom - top, columns), self.stored)
        within = _slice(y, top), _slice(x, 0)
        try:
            with self.path.open("rb") as file:
                for at, number in enumerate(z):
                    file.seek(self.offset + (number * rows + top) * columns * self.stored.itemsize)
                    if is_whole:
                        self._fill(file, out[at])
                    else:
                        self._fill(file, plane)
                        out[at] = plane[within]
        except OSError as error:
            raise InputError(f"{self.path}: cannot be read ({error}); copy or write it again") from error
        return out if self.stored == self.dtype else out.byteswap(inplace=True).view(self.dtype)

    def _fill(self, file: Any, plane: NDArray[Any]) -> None:
        target = memoryview(plane).cast("B")  # type: ignore[arg-type]
        while len(target):
            count = file.readinto(target)
            if not count:
                raise InputError(
                    f"{self.path}: has become shorter than its header promises; copy or write it again"
                )
            target = target[count:]


def _range(part: Any, length: int) -> range:
    """The places along an axis that an index or a slice asks for."""
    if isinstance(part, slice):
        return range(*part.indices(length))
    at = int(part)
    if not -length <= at < length:
        raise IndexError(f"index {at} is out of an axis of {length} voxels")
    return range(at % length, at % length + 1)


def _slice(places: range, first: int) -> slice:
    """The slice that picks places out of an axis that begins at ``first``."""
    stop = places.stop - first
    return slice(places.start - first, None if stop < 0 else stop, places.step)


class OrderedView:
    """The z, y, x axes of an array on disk that has them in another order, or single axes beside them.

    ``axes`` are the places of z, y, x among the array's axes; the others have length one. Indexed by whole
    numbers and slices, as the arrays themselves. ``path`` is for messages: whatever the array's library
    raises over a damaged part becomes an InputError that names it.
    """

    def __init__(self, array: Any, axes: tuple[int, int, int], path: Path) -> None:
        self.array = array
        self.axes = axes
        self.path = path
        self.shape = tuple(int(array.shape[axis]) for axis in axes)
        self.dtype = np.dtype(array.dtype)
        self.ndim = 3
        self.size = math.prod(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> np.ndarray[Any, Any]:
        wanted = _whole_key(key if isinstance(key, tuple) else (key,))
        inner: list[Any] = [0] * len(self.array.shape)
        for axis, part in zip(self.axes, wanted, strict=True):
            inner[axis] = part
        read = self._read(tuple(inner))
        kept = [axis for axis, part in zip(self.axes, wanted, strict=True) if isinstance(part, slice)]
        return read.transpose([sorted(kept).index(axis) for axis in kept])

    def _read(self, inner: tuple[Any, ...]) -> np.ndarray[Any, Any]:
        try:
            return np.asarray(self.array[inner])
        except (IndexError, InputError):
            raise
        except Exception as error:  # libraries raise whatever their codecs and stores raise
            said = " ".join(str(error).split())[:200] or type(error).__name__
            raise InputError(
                f"{self.path}: a part of its voxels cannot be read ({said}); copy or write it again"
            ) from error

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        return np.asarray(self[...], dtype=dtype)


def parts_of(data: Any) -> Iterator[tuple[slice, slice]]:
    """Parts (z, y; whole along x) that cover voxels on the disk (z, y, x), along the borders of its chunks.

    Read one by one, they leave others in between that want a slice of the same file.
    """
    depth, rows, columns = data.shape
    inner = getattr(data, "array", None)
    chunks = getattr(inner, "chunks", None)
    if isinstance(data, OrderedView) and chunks:
        planes, wide = (int(chunks[axis]) for axis in data.axes[:2])
    else:
        planes, wide = max(1, BLOCK_BYTES // max(1, rows * columns * data.dtype.itemsize)), rows
    for top in range(0, depth, planes):
        for left in range(0, rows, wide):
            yield slice(top, min(top + planes, depth)), slice(left, min(left + wide, rows))


def _whole_key(key: tuple[Any, ...]) -> tuple[Any, Any, Any]:
    """An index of three parts from one with fewer or with an ellipsis."""
    at = next((n for n, part in enumerate(key) if part is Ellipsis), len(key))
    before, after = key[:at], key[at + 1 :]
    whole: list[Any] = [*before, *[slice(None)] * (3 - len(before) - len(after)), *after]
    return whole[0], whole[1], whole[2]


def axes_in_words(names: Sequence[str], shape: Sequence[int]) -> str:
    """The axes of an array with their lengths, for a message."""
    return some_of(f"{n} {name}" for n, name in zip(shape, names, strict=False))


def zyx_places(names: list[str], shape: tuple[int, ...]) -> tuple[int, int, int] | None:
    """Where z, y and x stand among an array's axes; None where one lacks or another is longer than one."""
    lower = [name.lower() for name in names]
    if len(names) != len(shape) or any(lower.count(axis) != 1 for axis in "zyx"):
        return None
    if any(n != 1 for name, n in zip(lower, shape, strict=True) if name not in ("z", "y", "x")):
        return None
    return lower.index("z"), lower.index("y"), lower.index("x")
