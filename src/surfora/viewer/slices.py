"""Slices of a tomogram as pictures, small enough for a page."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tomocore.volumes.volume import Volume

MOST_PIXELS, MOST_SLICES = 384, 48
QUALITY = 70
MOST_BYTES = 2_500_000
"""Of all JPEGs together, before base64."""


@dataclass(frozen=True)
class Slices:
    """Slices across z as JPEG: their ``z_nm``, the corners of each in nm (x, y), and the pictures.

    The first row of pixels lies at the smallest y.
    """

    z_nm: tuple[float, ...]
    low_nm: tuple[float, float]
    high_nm: tuple[float, float]
    jpegs: tuple[bytes, ...]

    def row(self) -> dict[str, Any]:
        """What the browser is told of them."""
        pictures = [base64.b64encode(jpeg).decode("ascii") for jpeg in self.jpegs]
        return {"z": self.z_nm, "low": self.low_nm, "high": self.high_nm, "jpegs": pictures}


def slices_of(volume: Volume, low_nm: float, high_nm: float) -> Slices:
    """At most 48 slices of a volume between two z in nm, or all over where none of it lies between them.

    Only these planes are read of a volume that is on disk. Grey runs from the 1st to the 99th percentile.
    """
    edge_nm, z0_nm = volume.voxel_size_nm, volume.origin_nm[2]
    count = volume.data.shape[0]
    first = int(np.clip(np.floor((low_nm - z0_nm) / edge_nm), 0, count - 1))
    last = int(np.clip(np.ceil((high_nm - z0_nm) / edge_nm), 0, count - 1))
    if last <= first:
        first, last = 0, count - 1
    places = np.unique(np.rint(np.linspace(first, last, min(MOST_SLICES, last - first + 1))).astype(int))
    planes = [shrunk(np.asarray(volume.data[int(z)], np.float32), MOST_PIXELS) for z in places]
    grey = [grey_levels(plane, limits) for limits in [grey_limits(np.stack(planes))] for plane in planes]
    quality, pictures = QUALITY, [jpeg_of(plane, QUALITY) for plane in grey]
    while sum(map(len, pictures)) > MOST_BYTES and quality > 20:
        quality -= 15
        pictures = [jpeg_of(plane, quality) for plane in grey]
    x0, y0 = volume.origin_nm[0] - 0.5 * edge_nm, volume.origin_nm[1] - 0.5 * edge_nm
    _, height, width = volume.data.shape
    return Slices(
        tuple(round(float(z0_nm + z * edge_nm), 3) for z in places),
        (x0, y0),
        (x0 + width * edge_nm, y0 + height * edge_nm),
        tuple(pictures),
    )


def shrunk(plane: NDArray[np.float32], most: int) -> NDArray[np.float32]:
    """A plane (h, w) as means over square blocks of its pixels, so that no side is longer than ``most``."""
    block = -(-max(plane.shape) // most)
    if block == 1:
        return plane
    starts = (np.arange(0, length, block) for length in plane.shape)
    rows, columns = starts
    sums = np.add.reduceat(np.add.reduceat(plane, rows, axis=0), columns, axis=1)
    counts = (np.diff(np.append(ends, n)) for ends, n in zip((rows, columns), plane.shape, strict=True))
    return np.asarray(sums / np.outer(*counts), np.float32)


def grey_limits(values: NDArray[np.float32]) -> tuple[float, float]:
    """The 1st and the 99th percentile of the finite values."""
    finite = values[np.isfinite(values)]
    low, high = (float(end) for end in np.quantile(finite, (0.01, 0.99))) if finite.size else (0.0, 1.0)
    return low, high if high > low else low + 1.0


def grey_levels(plane: NDArray[np.float32], limits: tuple[float, float]) -> NDArray[np.uint8]:
    """Values (h, w) from 0 to 255 between the limits; what is no number is black."""
    share = np.nan_to_num(np.clip((plane - limits[0]) / (limits[1] - limits[0]), 0, 1), nan=0.0)
    return np.rint(share * 255).astype(np.uint8)


def jpeg_of(pixels: NDArray[np.uint8], quality: int = QUALITY) -> bytes:
    """Grey (h, w) or coloured (h, w, 3) pixels as JPEG; ``quality`` is 1 to 95."""
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, "JPEG", quality=quality, optimize=True)
    return target.getvalue()
