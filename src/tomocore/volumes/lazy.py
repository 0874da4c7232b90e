"""Voxels on disk whose axes are brought to z, y, x as they are read."""

from __future__ import annotations

from typing import Any

import numpy as np


class OrderedView:
    """The z, y, x axes of an array on disk that has them in another order, or single axes beside them.

    ``axes`` are the places of z, y, x among the array's axes; the others have length one. Indexed by whole
    numbers and slices, as the arrays themselves.
    """

    def __init__(self, array: Any, axes: tuple[int, int, int]) -> None:
        self.array = array
        self.axes = axes
        self.shape = tuple(int(array.shape[axis]) for axis in axes)
        self.dtype = np.dtype(array.dtype)
        self.ndim = 3
        self.size = int(np.prod(self.shape, dtype=np.int64))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> np.ndarray[Any, Any]:
        wanted = _whole_key(key if isinstance(key, tuple) else (key,))
        inner: list[Any] = [0] * len(self.array.shape)
        for axis, part in zip(self.axes, wanted, strict=True):
            inner[axis] = part
        read = np.asarray(self.array[tuple(inner)])
        kept = [axis for axis, part in zip(self.axes, wanted, strict=True) if isinstance(part, slice)]
        return read.transpose([sorted(kept).index(axis) for axis in kept])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        return np.asarray(self[...], dtype=dtype)


def _whole_key(key: tuple[Any, ...]) -> tuple[Any, Any, Any]:
    """An index of three parts from one with fewer or with an ellipsis."""
    at = next((n for n, part in enumerate(key) if part is Ellipsis), len(key))
    before, after = key[:at], key[at + 1 :]
    whole: list[Any] = [*before, *[slice(None)] * (3 - len(before) - len(after)), *after]
    return whole[0], whole[1], whole[2]


def ordered(array: Any, axes: tuple[int, int, int]) -> Any:
    """The array itself where its axes are z, y, x, and a view that orders them as it is read elsewhere."""
    return array if len(array.shape) == 3 and axes == (0, 1, 2) else OrderedView(array, axes)


def zyx_places(names: list[str], shape: tuple[int, ...]) -> tuple[int, int, int] | None:
    """Where z, y and x stand among an array's axes; None where one lacks or another is longer than one."""
    lower = [name.lower() for name in names]
    if len(names) != len(shape) or any(lower.count(axis) != 1 for axis in "zyx"):
        return None
    if any(n != 1 for name, n in zip(lower, shape, strict=True) if name not in ("z", "y", "x")):
        return None
    return lower.index("z"), lower.index("y"), lower.index("x")
