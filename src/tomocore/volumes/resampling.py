"""Voxels of unequal edges brought to one edge: labels by their signed distance, grey values by splines."""

from __future__ import annotations

from typing import Any

import edt
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tomocore.volumes.header import Triple
from tomocore.volumes.volume import Volume

RESAMPLING_BYTES = 12
"""Memory that each voxel wanted takes while grey values are resampled, beside its own."""
FEW_VALUES = 32  # a grey volume has more
MOST_LABELS = 300
SPLINE_ORDER = 3
DEEPEST_NM = 1e4  # where a label fills all there is
MARGIN = 3  # voxels about a label that its distance is interpolated in


def resampled(
    data: NDArray[Any], size_nm: Triple, edge_nm: float, origin_nm: Triple = (0.0, 0.0, 0.0)
) -> Volume:
    """A volume with voxels of one edge over the same box, of the same type.

    Args:
        data: [z, y, x]; whole numbers of which few occur are labels, all else grey values.
        size_nm: edges of its voxels along x, y, z.
        edge_nm: the edge wanted.
        origin_nm: centre of its first voxel.

    Each label's signed distance to its surface is interpolated, so that shapes keep their place and
    smoothness; grey values go through cubic splines.
    """
    z, y, x = data.shape
    _, place_nm, places = resampled_grid((z, y, x), size_nm, edge_nm, origin_nm)
    new = _resampled_labels if looks_like_labels(data) else _resampled_grey
    return Volume(new(data, places, size_nm), edge_nm, place_nm)


def resampled_grid(
    shape: tuple[int, int, int], size_nm: Triple, edge_nm: float, origin_nm: Triple = (0.0, 0.0, 0.0)
) -> tuple[tuple[int, int, int], Triple, list[NDArray[np.float64]]]:
    """Shape and origin of the grid that `resampled` gives, and its voxels along z, y, x in old voxels."""
    steps = np.divide(edge_nm, size_nm[::-1])
    nz, ny, nx = (max(1, round(n / step)) for n, step in zip(shape, steps, strict=True))
    new = (nz, ny, nx)
    starts = [(n - 1 - (m - 1) * step) / 2 for n, m, step in zip(shape, new, steps, strict=True)]
    places = [start + step * np.arange(m) for start, step, m in zip(starts, steps, new, strict=True)]
    moved = np.multiply(starts, size_nm[::-1])[::-1]
    x, y, z = (float(at + by) for at, by in zip(origin_nm, moved, strict=True))
    return new, (x, y, z), places


def looks_like_labels(data: NDArray[Any]) -> bool:
    """Whether values are labels: whole numbers, few of them, or one that most voxels have beside patches."""
    if data.dtype.kind not in "iub" and not (data == np.rint(data)).all():
        return False
    values, counts = np.unique(data, return_counts=True)
    if len(values) <= FEW_VALUES:
        return True
    if counts.max() <= 0.5 * data.size:
        return False
    return len(values) <= MOST_LABELS or _in_patches(data, values[counts.argmax()])


def _in_patches(data: NDArray[Any], background: Any) -> bool:
    """Whether most neighbours along x that are no background have the same value."""
    left, right = data[..., :-1], data[..., 1:]
    inside = (left != background) & (right != background)
    return bool(np.count_nonzero(inside & (left == right)) > 0.5 * np.count_nonzero(inside))


def _resampled_grey(data: NDArray[Any], places: list[NDArray[np.float64]], size_nm: Triple) -> NDArray[Any]:
    finite = np.isfinite(data) if data.dtype.kind == "f" else None
    if finite is not None and not finite.all():
        return _resampled_with_holes(data, finite, places, size_nm)
    smooth = _spline(data.astype(np.float32), places)
    np.clip(smooth, data.min(), data.max(), out=smooth)  # a confidence stays within 0 and 1
    return (np.rint(smooth) if data.dtype.kind in "iu" else smooth).astype(data.dtype)


def _resampled_with_holes(
    data: NDArray[Any], finite: NDArray[np.bool_], places: list[NDArray[np.float64]], size_nm: Triple
) -> NDArray[Any]:
    """Grey values whose NaN stay NaN and do not spread: the nearest finite value stands in meanwhile."""
    if not finite.any():
        return np.full([len(along) for along in places], np.nan, data.dtype)
    nearest = ndimage.distance_transform_edt(
        ~finite, sampling=size_nm[::-1], return_distances=False, return_indices=True
    )
    new = _resampled_grey(data[tuple(nearest)], places, size_nm)
    new[_spline(finite.astype(np.float32), places, order=1) < 0.5] = np.nan
    return new


def _resampled_labels(data: NDArray[Any], places: list[NDArray[np.float64]], size_nm: Triple) -> NDArray[Any]:
    """Each voxel has the label whose surface it lies deepest in, and 0 where it lies in none."""
    values, ranks = np.unique(data, return_inverse=True)
    ranks = np.where(data == 0, 0, ranks.reshape(data.shape) + 1)
    new = np.zeros([len(along) for along in places], data.dtype)
    depth = np.zeros(new.shape, np.float32)
    for rank, box in enumerate(ndimage.find_objects(ranks), start=1):
        if box is None:
            continue
        wide = tuple(slice(max(0, part.start - MARGIN), part.stop + MARGIN) for part in box)
        into = tuple(
            _covered(along, part, n) for along, part, n in zip(places, wide, data.shape, strict=True)
        )
        if any(part.start >= part.stop for part in into):
            continue  # a speck between two new voxels
        near = [along[part] - cut.start for along, part, cut in zip(places, into, wide, strict=True)]
        deep = _spline(_depth_nm(ranks[wide] == rank, size_nm), near)
        won = deep > depth[into]
        depth[into][won] = deep[won]
        new[into][won] = values[rank - 1]
    return new


def _covered(along: NDArray[np.float64], part: slice, n: int) -> slice:
    """Which places lie within a part of ``n`` voxels; at the ends of the volume also those beyond."""
    first = 0 if part.start <= 0 else np.searchsorted(along, part.start)
    last = len(along) if part.stop >= n else np.searchsorted(along, part.stop - 1, side="right")
    return slice(int(first), int(last))


def _depth_nm(mask: NDArray[np.bool_], size_nm: Triple) -> NDArray[np.float32]:
    """Distance to the mask's surface, positive inside."""
    inside, outside = (edt.edt(part, anisotropy=size_nm[::-1]) for part in (mask, ~mask))
    return np.asarray(np.where(mask, np.minimum(inside, DEEPEST_NM), -outside), dtype=np.float32)


def _spline(
    data: NDArray[np.float32], places: list[NDArray[np.float64]], order: int = SPLINE_ORDER
) -> NDArray[np.float32]:
    """Values at a grid of places (voxel indices along z, y, x), those of the edge beyond it."""
    steps = [along[1] - along[0] if len(along) > 1 else 1.0 for along in places]
    out = np.empty([len(along) for along in places], np.float32)
    ndimage.affine_transform(
        data, steps, [along[0] for along in places], out.shape, out, order=order, mode="nearest"
    )
    return out
