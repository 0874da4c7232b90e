"""Arrays as text within a page: fewer bits, differences, deflated, base64; `unpack.js` is the way back."""

from __future__ import annotations

import base64
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from surfora.geometry.arrays import Faces, Floats, Points

NO_VALUE = 255
LARGEST_CODE = 254


def packed(values: NDArray[Any]) -> str:
    """The bytes of an array, little-endian, deflated, in base64."""
    bytes_ = values.astype(values.dtype.newbyteorder("<")).tobytes()
    return base64.b64encode(zlib.compress(bytes_, 6)).decode("ascii")


def packed_points(points: Points) -> dict[str, Any]:
    """Points (n, 3) in nm within their box in 65,535 steps: ``low``, ``step`` and ``codes``, axis by axis.

    The codes are differences to the point before, modulo 65,536, which deflate to less.
    """
    low = points.min(axis=0)
    step = np.maximum(np.ptp(points, axis=0), 1e-6) / 65535
    codes = np.rint((points - low) / step).astype(np.uint16)
    return {"low": low.tolist(), "step": step.tolist(), "codes": packed(_differences(codes.T))}


def packed_faces(faces: Faces) -> str:
    """Triangles (m, 3) as differences to the number before, modulo 2³²."""
    return packed(_differences(faces.astype(np.uint32).ravel()))


def packed_values(values: Floats, low: float, high: float) -> str:
    """Values (n,) in 254 steps from ``low`` to ``high``; beyond are the ends, and NaN is 255."""
    share = np.clip((values - low) / (high - low), 0, 1)
    known = np.isfinite(values)
    codes = np.rint(np.where(known, share, 0) * LARGEST_CODE)
    return packed(np.where(known, codes, NO_VALUE).astype(np.uint8))


def _differences(codes: NDArray[Any]) -> NDArray[Any]:
    """Along the last axis, the first one kept, modulo what the type holds."""
    found = codes.copy()
    found[..., 1:] -= codes[..., :-1]
    return found
