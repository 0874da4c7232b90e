"""Cleaning of membrane masks by physical size, and what the later stages ask of a mask."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import cc3d
import edt
import numpy as np
from numba import njit, prange
from scipy.ndimage import find_objects

from surfora.geometry.arrays import Floats, Ints, Mask
from surfora.geometry.occupancy import set_voxels
from surfora.masks.settings import CleanSettings
from surfora.masks.sheets import numbered_pieces, place_steps, stepping_pairs, without_bridges
from surfora.masks.values import some_of
from tomocore.contract import InputError, about
from tomocore.volumes.volume import Volume

log = logging.getLogger(__name__)

Box = tuple[slice, slice, slice]

FEWEST_VOXELS = 20
LARGEST_FLOOD = 1000  # voxels: holes up to here are flooded one by one
SPARSE_SHARE = 0.02  # of voxels set; in fuller volumes numbering all of them is faster
DEEPEST = 12  # voxels: no depth beyond this is told apart
NOMINAL_NM = 3.0  # thinner masks than this are judged by the area that they carry
ENOUGH_VOXELS = 200_000  # to tell a thickness
LOUD_SHARE = 0.02  # of a membrane; losing more than this is a warning


class TooSmallError(InputError):
    """A mask or label that is too small to carry a surface."""


@dataclass(frozen=True)
class Removed:
    """What cleaning took away: connected pieces, and their share of the mask's voxels."""

    pieces: int = 0
    share: float = 0.0


def clean_mask(mask: Mask, voxel_size_nm: float, settings: CleanSettings = CleanSettings()) -> Mask:
    """The mask opened, closed, its small cavities filled and its small pieces removed.

    mask: bool [z, y, x]; work is done in the box that holds the membrane. Voxels at the array's border stay
    as they are under opening and closing: the membrane goes on beyond it. Pieces that are removed are told,
    as a warning where they are much of the mask. Raises TooSmallError where nothing is left to make a
    surface of.
    """
    return cleaned_and_removed(mask, voxel_size_nm, settings)[0]


def cleaned_and_removed(
    mask: Mask, voxel_size_nm: float, settings: CleanSettings = CleanSettings()
) -> tuple[Mask, Removed]:
    """As `clean_mask`, with what was removed of the mask as small pieces."""
    mask = np.asarray(mask, dtype=bool)
    require_membrane(mask)
    reach = int(np.ceil(max(settings.opening_nm, settings.closing_nm) / voxel_size_nm)) + 2
    box = mask_box(mask, reach)
    part = np.ascontiguousarray(mask[box])
    part = opened(part, settings.opening_nm / voxel_size_nm)
    if settings.closing_nm > 0:
        part = ~opened(~part, settings.closing_nm / voxel_size_nm)
    part = without_bridges(part, without_cavities(part, settings.fill_holes_nm3 / voxel_size_nm**3))
    large = without_small_pieces(part, fewest_voxels(part, voxel_size_nm, settings.min_volume_nm3))
    if not large.any():
        raise TooSmallError(
            f"mask: no piece of {settings.min_volume_nm3:g} nm³ is left of {int(mask.sum())} voxels of "
            f"{voxel_size_nm:g} nm after cleaning; lower clean.min_volume_nm3 or clean.opening_nm"
        )
    removed = _told_removal(part, large, settings)
    if large.shape == mask.shape:
        return large, removed
    cleaned = np.zeros_like(mask)
    cleaned[box] = large
    return cleaned, removed


def fewest_voxels(mask: Mask, voxel_size_nm: float, min_volume_nm3: float) -> float:
    """How many voxels a piece of a mask needs for a volume in nm³ of a membrane that is 3 nm thick.

    In masks thinner than that, such as skeletons one voxel thick, a piece carries as much area with less
    volume, so that fewer will do.
    """
    fewest = min_volume_nm3 / voxel_size_nm**3
    if fewest <= 1 or without_small_pieces(mask, fewest) is mask:
        return fewest
    occupied = set_voxels(mask)
    depth, faces = voxel_depths(mask, occupied[:: max(1, len(occupied) // ENOUGH_VOXELS)])
    thickness_nm = sheet_thickness(depth, int(faces.sum())) * voxel_size_nm
    return fewest * min(1.0, thickness_nm / NOMINAL_NM)


def _told_removal(before: Mask, after: Mask, settings: CleanSettings) -> Removed:
    if after is before:
        return Removed()
    lost = before ^ after
    pieces = int(cc3d.connected_components(lost, connectivity=26).max())
    removed = Removed(pieces, float(np.count_nonzero(lost) / np.count_nonzero(before)))
    log.log(
        logging.WARNING if removed.share >= LOUD_SHARE else logging.INFO,
        "%d piece%s, %.2g %% of the membrane, each below clean.min_volume_nm3 = %g, removed; lower it "
        "to keep them",
        pieces,
        "s" * (pieces > 1),
        100 * removed.share,
        settings.min_volume_nm3,
    )
    return removed


def cleaned_volume(volume: Volume, settings: CleanSettings = CleanSettings()) -> Volume:
    """A volume of labels cleaned label by label; where two labels grow together the lower one stays.

    Labels too small for a surface are dropped and told in one line. Raises TooSmallError where none is left.
    """
    labels, voxel_size_nm = volume.data, volume.voxel_size_nm
    cleaned, small = np.zeros_like(labels), []
    boxes = find_objects(np.abs(labels.astype(np.int32)))  # a mask may be all of −1
    for value, box in enumerate(boxes, start=1):
        if box is None:
            continue
        place = _grown(box, settings, voxel_size_nm)
        there = labels[place]
        try:
            with about(f"label {value}"):
                piece = clean_mask(np.abs(there) == value, voxel_size_nm, settings)
        except TooSmallError:
            small.append(value)
            continue
        free = piece & (cleaned[place] == 0)
        cleaned[place][free] = there[np.abs(there) == value][0]
    if small:
        log.warning("%s", too_small_line(small))
    if not cleaned.any():
        raise TooSmallError("mask: no label is left after cleaning; lower clean.min_volume_nm3")
    return volume.with_data(cleaned)


def too_small_line(labels: Sequence[int]) -> str:
    """One line for all labels that are left out since nothing of them carries a surface."""
    one = len(labels) == 1
    return (
        f"{len(labels)} label{'' if one else 's'} {'is' if one else 'are'} too small for a surface (no piece "
        f"of {FEWEST_VOXELS} voxels and clean.min_volume_nm3): {some_of(labels)} left out"
    )


def _grown(box: Box, settings: CleanSettings, voxel_size_nm: float) -> Box:
    """A box with the room that closing needs about it."""
    reach = int(np.ceil(max(settings.opening_nm, settings.closing_nm) / voxel_size_nm)) + 2
    z, y, x = (slice(max(0, axis.start - reach), axis.stop + reach) for axis in box)
    return z, y, x


def require_membrane(mask: Mask) -> None:
    """InputError where a mask is empty, or too small to carry a surface."""
    count = int(np.count_nonzero(mask))
    if count == 0:
        raise InputError("mask: empty, no voxel is set; check the label and the threshold it was made with")
    if count < FEWEST_VOXELS:
        raise TooSmallError(
            f"mask: only {count} voxel{'s' * (count > 1)} set, a surface needs {FEWEST_VOXELS}; "
            "check the label"
        )


def mask_box(mask: Mask, margin: int = 0) -> Box:
    """Slices (z, y, x) of the box that holds all voxels set, grown by ``margin`` voxels within the array."""
    spans = []
    for axis in range(3):
        others = tuple(k for k in range(3) if k != axis)
        there = np.flatnonzero(mask.any(axis=others))
        if len(there) == 0:
            raise InputError("mask: empty, no voxel is set; check the label it was made with")
        spans.append(
            slice(max(0, int(there[0]) - margin), min(mask.shape[axis], int(there[-1]) + 1 + margin))
        )
    return spans[0], spans[1], spans[2]


def opened(mask: Mask, radius_voxels: float) -> Mask:
    """What a ball of this radius sweeps while it stays inside the mask."""
    if radius_voxels <= 0:
        return mask
    core = edt.edt(np.ascontiguousarray(mask)) > radius_voxels
    if not core.any():
        return np.zeros_like(mask)
    return mask & (edt.edt(np.ascontiguousarray(~core)) <= radius_voxels)


def without_cavities(mask: Mask, largest_voxels: float) -> Mask:
    """The mask with the enclosed cavities of fewer voxels than this filled.

    The first voxel of a cavity along z, y and x has a wall behind it along all three, which few others have;
    so small cavities are found without numbering the whole background.
    """
    fewest = int(np.ceil(largest_voxels))
    if fewest <= 1:
        return mask
    if fewest > LARGEST_FLOOD:
        return ~cc3d.dust((~mask).view(np.uint8), threshold=fewest, connectivity=6).view(bool)
    walled = np.array(mask, dtype=bool, order="C")
    _fill_from(walled, _walled_corners(walled), fewest)
    return walled


def _walled_corners(walled: Mask) -> Ints:
    """The voxels (n, 3) outside of a mask with a wall of it, or the volume's border, behind along each axis.

    Only those beside an occupied voxel or at the border are looked at, not the whole volume.
    """
    _, rows, columns = walled.shape
    flat = walled.ravel()
    beside = np.flatnonzero(flat) + 1
    places = np.concatenate([beside[beside % columns > 0], np.arange(0, walled.size, columns)])
    places = places[~flat[places]]
    plane, row = places // (rows * columns), places // columns % rows
    has_walls = ((row == 0) | flat[places - columns]) & ((plane == 0) | flat[places - rows * columns])
    return np.column_stack(np.unravel_index(np.sort(places[has_walls]), walled.shape))


def without_small_pieces(mask: Mask, fewest_voxels: float) -> Mask:
    """The mask without pieces, connected by faces, edges or corners, of fewer voxels than this.

    Where there are none it is the same array.
    """
    if fewest_voxels <= 1:
        return mask
    whole = np.ascontiguousarray(mask)
    occupied = np.flatnonzero(whole)
    if len(occupied) > SPARSE_SHARE * whole.size:
        fewest = int(np.ceil(fewest_voxels))
        kept = cc3d.dust(whole.view(np.uint8), threshold=fewest, connectivity=26).view(bool)
        return mask if np.count_nonzero(kept) == len(occupied) else kept
    piece = _pieces(occupied, whole.shape)
    small = np.bincount(piece)[piece] < fewest_voxels
    if not small.any():
        return mask
    kept = whole.copy()
    kept.ravel()[occupied[small]] = False
    return kept


def _pieces(occupied: Ints, shape: tuple[int, ...]) -> Ints:
    """Number of the connected piece of each occupied voxel (n,), given by flat indices in rising order."""
    wide = place_steps(shape)
    place = np.column_stack(np.unravel_index(occupied, shape)) @ wide
    steps = [np.subtract(step, 1) @ wide for step in np.ndindex(3, 3, 3) if step > (1, 1, 1)]
    return numbered_pieces(len(place), [stepping_pairs(place, int(step)) for step in steps])


@njit(cache=True, nogil=True)
def _fill_from(walled: Mask, seeds: Ints, fewest: int) -> None:
    """Fill, in place, every hole (6-connected) of fewer voxels than this that holds a seed (n, 3).

    The volume's border counts as a wall.
    """
    depth, rows, columns = walled.shape
    found = np.empty((fewest, 3), dtype=np.int64)
    for i in range(len(seeds)):
        if walled[seeds[i, 0], seeds[i, 1], seeds[i, 2]]:
            continue
        for axis in range(3):
            found[0, axis] = seeds[i, axis]
        walled[found[0, 0], found[0, 1], found[0, 2]] = True
        count, k = 1, 0
        while k < count < fewest:
            for axis in range(3):
                for way in (-1, 1):
                    z, y, x = found[k, 0], found[k, 1], found[k, 2]
                    z += way * (axis == 0)
                    y += way * (axis == 1)
                    x += way * (axis == 2)
                    within = 0 <= z < depth and 0 <= y < rows and 0 <= x < columns
                    if count < fewest and within and not walled[z, y, x]:
                        walled[z, y, x] = True
                        found[count, 0], found[count, 1], found[count, 2] = z, y, x
                        count += 1
            k += 1
        if count == fewest:  # too large: as it was
            for k in range(count):
                walled[found[k, 0], found[k, 1], found[k, 2]] = False


def mask_thickness_nm(mask: Mask, voxel_size_nm: float) -> float:
    """Thickness in nm of the sheet that a mask [z, y, x] depicts, to about 20 %.

    The smaller of two estimates, each of which errs upwards where the other is good. From the distance
    transform: its mean over a slab is a quarter of the thickness, plus half a voxel to the nearest centre
    outside; too large below three voxels. From the faces: twice the volume over the surface, by the mean
    projection of the voxel faces (Crofton); too large where the sheet lies along the voxel planes.
    """
    require_membrane(mask)
    occupied = set_voxels(mask)
    depth, faces = voxel_depths(mask, occupied)
    return sheet_thickness(depth, int(faces.sum())) * voxel_size_nm


def sheet_thickness(depth: Floats, faces: int) -> float:
    """The thickness in voxels of `mask_thickness_nm`, from the depths (n,) and the number of open faces."""
    return min(4 * (float(depth.mean()) - 0.5), 3 * len(depth) / max(faces, 1))


def voxel_depths(mask: Mask, occupied: Ints) -> tuple[Floats, Ints]:
    """Distance in voxels (n,) of each occupied voxel (n, 3) z, y, x to the nearest one outside, at most 12,

    and how many of its six faces are open (n,). The array's border is no outside. For a thin sheet in a
    large volume this is far cheaper than a distance transform of the whole.
    """
    span = np.arange(-DEEPEST, DEEPEST + 1)
    offsets = np.stack(np.meshgrid(span, span, span, indexing="ij"), axis=-1).reshape(-1, 3)
    square = np.sum(offsets**2, axis=1)
    near = np.flatnonzero((square > 0) & (square <= DEEPEST**2))
    near = near[np.argsort(square[near], kind="stable")]
    square_depth, faces = _search_outside(mask, occupied, offsets[near], square[near])
    return np.sqrt(square_depth), faces


@njit(cache=True, nogil=True, parallel=True)
def _search_outside(mask: Mask, occupied: Ints, offsets: Ints, square: Ints) -> tuple[Ints, Ints]:
    """Squared distance to the nearest voxel outside, along offsets sorted by length; open faces."""
    depth = np.full(len(occupied), square[-1], dtype=np.int64)
    faces = np.zeros(len(occupied), dtype=np.int64)
    size = mask.shape
    for i in prange(len(occupied)):
        found = False
        for k in range(len(offsets)):
            if found and k >= 6:  # the six nearest are the faces, and all of them are looked at
                break
            z, y, x = (
                occupied[i, 0] + offsets[k, 0],
                occupied[i, 1] + offsets[k, 1],
                occupied[i, 2] + offsets[k, 2],
            )
            if z < 0 or y < 0 or x < 0 or z >= size[0] or y >= size[1] or x >= size[2] or mask[z, y, x]:
                continue
            if not found:
                found, depth[i] = True, square[k]
            if k < 6:
                faces[i] += 1
    return depth, faces
