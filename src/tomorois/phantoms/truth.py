"""Exact truth of a scene: membrane labels, ROIs that may overlap, and their measures from the surfaces.

Distances are mid-membrane to mid-membrane; numbers come from the implicit functions on samples of the
surfaces within the tomogram, never from voxels (only centroid and volume describe the voxels of an ROI).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from tomocore.roiset import Bools, RoiSet, rois_from_masks
from tomorois.phantoms.buds import (
    Bud,
    BuddedVesicle,
    bud_centre_nm,
    bud_depth_nm,
    bud_samples,
    in_bud_region,
)
from tomorois.phantoms.imaging import tilt_from_x_deg
from tomorois.phantoms.shapes import Box, Floats, Grid, Surface, distances_in_box, near_voxels, outward

TRUTH_SPACING_NM = 1.0
"""Step of the surface samples; the least gap comes out at most 0.02 nm too large for radii from 20 nm."""
MIN_CONTACT_AREA_NM2 = 150.0
MIN_PIECE_NM3 = 500.0

AXIS_COLUMNS = {
    "axis_x": "x of the unit axis: from membrane a to b, or from the bud's centre to its mouth",
    "axis_y": "y of the axis",
    "axis_z": "z of the axis",
    "axis_tilt_deg": "angle of the axis from x, seen along the tilt axis y",
    "seen_area_share": "share of the area whose normals the tilts reach",
}
CONTACT_COLUMNS = {
    "kind": "contact",
    "membrane_a": "label of the first membrane",
    "membrane_b": "label of the second membrane",
    "gap_min_nm": "least distance from one mid-membrane to the other, over both patches",
    "gap_mean_nm": "its mean over the area of both patches",
    "gap_sd_nm": "its standard deviation over the area of both patches",
    "contact_area_nm2": "mean area of the two patches whose gap is within the contact limit",
    "contact_area_a_nm2": "area of the patch on membrane a",
    "contact_area_b_nm2": "area of the patch on membrane b",
    "mean_curvature_a_per_nm": "mean over the patch on membrane a of H along its outward normal",
    "mean_curvature_b_per_nm": "the same on membrane b",
    **AXIS_COLUMNS,
}
BUD_COLUMNS = {
    "kind": "invagination (into the vesicle) or evagination",
    "membrane_a": "label of the membrane",
    "neck_radius_nm": "radius of the mid-membrane at the neck's narrowest place",
    "neck_length_nm": "length of the neck's straight part",
    "fillet_radius_nm": "radius of the bends at both ends of the neck",
    "bud_radius_nm": "radius of the bud's mid-membrane",
    "bud_mean_curvature_per_nm": "mean curvature of the bud along the vesicle's outward normal: -1/r inward",
    "neck_mean_curvature_per_nm": "the same at the neck's narrowest place",
    "depth_nm": "from the bare sphere to the bud's end along the axis",
    "area_nm2": "area of bud and neck from where the sphere ends",
    "bud_centre_x_nm": "x of the bud's centre",
    "bud_centre_y_nm": "y of the bud's centre",
    "bud_centre_z_nm": "z of the bud's centre",
    "vesicle_radius_nm": "radius of the sphere that the bud is on",
    **AXIS_COLUMNS,
}
"""Columns of the truth tables beyond those of every ROI table, and what they mean."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Place:
    """An ROI on its way: first voxel z, y, x of its box, the voxels within it, and its measures."""

    start: NDArray[np.int64]
    mask: Bools
    row: Row


@dataclass(frozen=True)
class Side:
    """A membrane's patch in a contact: samples (n, 3), their areas, gaps, and normals towards the other.

    ``mean_curvature_per_nm`` is H along the outward normal, or None where no formula gives it.
    """

    points: Floats
    areas_nm2: Floats
    gaps_nm: Floats
    normals: Floats
    mean_curvature_per_nm: Floats | None = None

    def at(self, chosen: Bools) -> Side:
        """Some of the samples."""
        bending = None if self.mean_curvature_per_nm is None else self.mean_curvature_per_nm[chosen]
        return Side(
            self.points[chosen],
            self.areas_nm2[chosen],
            self.gaps_nm[chosen],
            self.normals[chosen],
            bending,
        )

    def bending_per_nm(self) -> float:
        """Mean over the area of H, or NaN where it is not known."""
        if self.mean_curvature_per_nm is None:
            return float("nan")
        return float(np.average(self.mean_curvature_per_nm, weights=self.areas_nm2))


def membrane_labels(surfaces: Sequence[Surface], grid: Grid, thickness_nm: float) -> NDArray[np.int16]:
    """Labels 1, 2, … in the order of the surfaces, at voxels within half the thickness of a mid-surface.

    Where two membranes cover a voxel the nearer one has it.
    """
    labels = np.zeros(grid.shape, np.int16)
    nearest = np.full(grid.shape, np.float32(0.5 * thickness_nm))
    for label, surface in enumerate(surfaces, start=1):
        low, high = surface.bounds_nm()
        box = grid.box(low - thickness_nm, high + thickness_nm)
        if min(axis.stop - axis.start for axis in box) == 0:
            continue
        distance = np.abs(distances_in_box(surface, grid, box, thickness_nm))
        closer = distance <= nearest[box]
        labels[box][closer] = label
        nearest[box][closer] = distance[closer]
    return labels


def contact_truth(
    surfaces: Sequence[Surface], grid: Grid, limit_nm: float, thickness_nm: float, tilt_max_deg: float = 60.0
) -> tuple[RoiSet, Bools]:
    """The contacts of all pairs of membranes, and the voxels (bool z, y, x) of those too small to count.

    A voxel of ``grid`` lies in the contact of A and B where both signed distances are at least minus half of
    ``thickness_nm``, they add up to at most ``limit_nm``, and the membranes face one another there (their
    outward directions differ by more than 90°). Between parallel membranes the sum is the gap, so this is the
    space between and both bilayers wherever the gap is within the limit. Each connected place (26 neighbours)
    of a pair is an ROI if its area is at least 150 nm². ``surfaces`` are named 1, 2, … in the table;
    ``tilt_max_deg``, the greatest tilt about y, decides which share of an ROI's area was seen.
    """
    pairs = combinations(range(len(surfaces)), 2)
    found = (_pair_places(surfaces, pair, grid, limit_nm, thickness_nm, tilt_max_deg) for pair in pairs)
    return kept_and_small((place for places in found for place in places), grid)


def bud_truth(
    surfaces: Sequence[Surface], grid: Grid, thickness_nm: float, tilt_max_deg: float = 60.0
) -> RoiSet:
    """The buds of all budded vesicles: bilayer of bud and neck from where the sphere ends, and the lumen."""
    places = []
    for label, vesicle in enumerate(surfaces, start=1):
        if isinstance(vesicle, BuddedVesicle):
            found = [
                _bud_place(vesicle, bud, label, grid, thickness_nm, tilt_max_deg) for bud in vesicle.buds
            ]
            places += [place for place in found if place is not None]
    return _roi_set(places, grid, BUD_COLUMNS)


def contact_side(
    one: Surface, other: Surface, limit_nm: float, spacing_nm: float, inside: tuple[Floats, Floats]
) -> Side:
    """The patch of ``one`` in contact with ``other``.

    In contact: the distance to the other mid-surface is at most ``limit_nm`` and the other lies ahead.
    ``inside`` are the corners x, y, z that samples must lie between.
    """
    points, areas = one.samples(spacing_nm)
    kept = ((points >= inside[0]) & (points <= inside[1])).all(axis=1)
    points, areas = points[kept], areas[kept]
    gaps = other.distance_nm(points)
    near = gaps <= limit_nm
    points = points[near]
    side = Side(points, areas[near], gaps[near], outward(one, points))
    side = side.at(np.einsum("nj,nj->n", side.normals, outward(other, points)) < 0)
    return replace(side, mean_curvature_per_nm=mean_curvature_per_nm(one, side.points))


def mean_curvature_per_nm(surface: Surface, points: Floats, step_nm: float = 0.2) -> Floats:
    """H (n,) at points of a surface: half the divergence of its outward normal, by central differences."""
    divergence = np.zeros(len(points))
    for axis in range(3):
        step = np.zeros(3)
        step[axis] = step_nm
        ahead, behind = outward(surface, points + step), outward(surface, points - step)
        divergence += (ahead[:, axis] - behind[:, axis]) / (2 * step_nm)
    return 0.5 * divergence


def places_of_pair(
    voxels: NDArray[np.int64], sides: Sequence[Side], names: tuple[int, int], grid: Grid, tilt_max_deg: float
) -> list[Place]:
    """Connected places of a pair's contact voxels, each with its measures from both sides' samples.

    ``voxels`` (n, 3) are indices z, y, x on ``grid``. ``sides`` are the patches of the two membranes, in the
    order of ``names``, their labels. ``tilt_max_deg`` as of `contact_truth`. Pieces are not yet sorted out by
    their area; all voxels together below 500 nm³ give none.
    """
    if len(voxels) * grid.voxel_size_nm**3 < MIN_PIECE_NM3:
        return []
    start = voxels.min(axis=0)
    mask = np.zeros(voxels.max(axis=0) - start + 1, dtype=bool)
    mask[tuple((voxels - start).T)] = True
    pieces, count = cc3d.connected_components(mask, connectivity=26, return_N=True)
    on_pieces = [_pieces_of(side.points, pieces, start, grid) for side in sides]
    places = []
    for k in range(1, count + 1):
        one, other = (side.at(piece == k) for side, piece in zip(sides, on_pieces, strict=True))
        places.append(Place(start, pieces == k, _contact_row(names, one, other, tilt_max_deg)))
    return places


def kept_and_small(places: Iterable[Place], grid: Grid) -> tuple[RoiSet, Bools]:
    """The contacts of at least 150 nm² as ROIs, and the voxels of the smaller ones."""
    kept: list[Place] = []
    small = np.zeros(grid.shape, dtype=bool)
    for place in places:
        if place.row["contact_area_nm2"] >= MIN_CONTACT_AREA_NM2:
            kept.append(place)
        else:
            small[_slices(place)] |= place.mask
    return _roi_set(kept, grid, CONTACT_COLUMNS), small


def _pair_places(
    surfaces: Sequence[Surface],
    pair: tuple[int, int],
    grid: Grid,
    limit_nm: float,
    thickness_nm: float,
    tilt_max_deg: float,
) -> list[Place]:
    a, b = surfaces[pair[0]], surfaces[pair[1]]
    voxels = _contact_voxels(a, b, grid, limit_nm, 0.5 * thickness_nm)
    if len(voxels) == 0:
        return []
    (low, high), edge = grid.corners_nm(), grid.voxel_size_nm
    first, last = grid.world(np.stack([voxels.min(axis=0), voxels.max(axis=0)]))
    inside = np.maximum(low, first - edge), np.minimum(high, last + edge)
    sides = [contact_side(*both, limit_nm, TRUTH_SPACING_NM, inside) for both in ((a, b), (b, a))]
    return places_of_pair(voxels, sides, (pair[0] + 1, pair[1] + 1), grid, tilt_max_deg)


def _contact_voxels(a: Surface, b: Surface, grid: Grid, limit_nm: float, half_nm: float) -> NDArray[np.int64]:
    """Voxels (n, 3) z, y, x between two membranes whose distances add up to at most the limit."""
    reach = limit_nm + half_nm
    (a_low, a_high), (b_low, b_high) = a.bounds_nm(), b.bounds_nm()
    low, high = np.maximum(a_low, b_low) - reach, np.minimum(a_high, b_high) + reach
    box = grid.box(low, high)
    if (low > high).any() or min(axis.stop - axis.start for axis in box) == 0:
        return np.empty((0, 3), np.int64)
    voxels = near_voxels((a, b), grid, box, reach)
    to_a = a.distance_nm(grid.world(voxels))
    kept = (to_a >= -half_nm) & (to_a <= reach)
    voxels, to_a = voxels[kept], to_a[kept]
    to_b = b.distance_nm(grid.world(voxels))
    voxels = voxels[(to_b >= -half_nm) & (to_a + to_b <= limit_nm)]
    points = grid.world(voxels)
    return voxels[np.einsum("nj,nj->n", outward(a, points), outward(b, points)) < 0]


def _pieces_of(points: Floats, pieces: NDArray[Any], start: NDArray[np.int64], grid: Grid) -> NDArray[Any]:
    """The piece of the ROI voxel nearest to each point (n,); 0 over 3 voxels away."""
    voxels = np.argwhere(pieces)
    away, nearest = cKDTree(grid.world(voxels + start)).query(points)
    return np.where(away <= 3 * grid.voxel_size_nm, pieces[tuple(voxels[nearest].T)], 0)


def _contact_row(names: tuple[int, int], one: Side, other: Side, tilt_max_deg: float) -> Row:
    """Measures of a contact from its two patches; area 0 where one was cut off."""
    if len(one.points) == 0 or len(other.points) == 0:
        return {"contact_area_nm2": 0.0}
    areas, gaps = (
        np.concatenate([one.areas_nm2, other.areas_nm2]),
        np.concatenate([one.gaps_nm, other.gaps_nm]),
    )
    mean = float(np.average(gaps, weights=areas))
    facing = one.areas_nm2 @ one.normals - other.areas_nm2 @ other.normals
    facing /= np.linalg.norm(facing)
    return {
        "kind": "contact",
        "membranes": f"{names[0]}:{names[1]}",
        "membrane_a": names[0],
        "membrane_b": names[1],
        "gap_min_nm": float(gaps.min()),
        "gap_mean_nm": mean,
        "gap_sd_nm": float(np.sqrt(np.average((gaps - mean) ** 2, weights=areas))),
        "contact_area_nm2": float(areas.sum() / 2),
        "contact_area_a_nm2": float(one.areas_nm2.sum()),
        "contact_area_b_nm2": float(other.areas_nm2.sum()),
        "mean_curvature_a_per_nm": one.bending_per_nm(),
        "mean_curvature_b_per_nm": other.bending_per_nm(),
        **_axis_columns(facing),
        **_wedge_columns(np.concatenate([one.normals, other.normals]), areas, tilt_max_deg),
    }


def _bud_place(
    vesicle: BuddedVesicle, bud: Bud, label: int, grid: Grid, thickness_nm: float, tilt_max_deg: float
) -> Place | None:
    points, areas = bud_samples(vesicle, bud, TRUTH_SPACING_NM)
    box = grid.box(points.min(axis=0) - thickness_nm, points.max(axis=0) + thickness_nm)
    start = np.array([axis.start for axis in box])
    shape = [axis.stop - axis.start for axis in box]
    voxels = np.indices(shape).reshape(3, -1).T
    within = in_bud_region(vesicle, bud, grid.world(voxels + start), 0.5 * thickness_nm)
    if not within.any():
        return None
    return Place(start, within.reshape(shape), _bud_row(vesicle, bud, label, points, areas, tilt_max_deg))


def _bud_row(
    vesicle: BuddedVesicle, bud: Bud, label: int, points: Floats, areas: Floats, tilt_max_deg: float
) -> Row:
    """Measures of a bud; H > 0 where the mid-surface bends outward along the vesicle's outward normal."""
    side = -1.0 if vesicle.inward else 1.0
    along_neck = 0.0 if bud.neck_length > 0 else 1.0 / bud.fillet_radius
    centre = bud_centre_nm(vesicle, bud)
    normals = outward(vesicle, points)
    return {
        "kind": "invagination" if vesicle.inward else "evagination",
        "membranes": str(label),
        "membrane_a": label,
        "neck_radius_nm": bud.neck_radius,
        "neck_length_nm": bud.neck_length,
        "fillet_radius_nm": bud.fillet_radius,
        "bud_radius_nm": bud.bud_radius,
        "bud_mean_curvature_per_nm": side / bud.bud_radius,
        "neck_mean_curvature_per_nm": side * 0.5 * (1.0 / bud.neck_radius - along_neck),
        "depth_nm": bud_depth_nm(vesicle, bud),
        "area_nm2": float(areas.sum()),
        "bud_centre_x_nm": centre[0],
        "bud_centre_y_nm": centre[1],
        "bud_centre_z_nm": centre[2],
        "vesicle_radius_nm": vesicle.radius,
        **_axis_columns(-side * bud.axis),
        **_wedge_columns(normals, areas, tilt_max_deg),
    }


def _axis_columns(axis: Floats) -> Row:
    return {
        "axis_x": float(axis[0]),
        "axis_y": float(axis[1]),
        "axis_z": float(axis[2]),
        "axis_tilt_deg": float(tilt_from_x_deg(axis)[0]),
    }


def _wedge_columns(normals: Floats, areas: Floats, tilt_max_deg: float) -> Row:
    """Share of the area that faces where tilts up to ``tilt_max_deg`` see it: that close to x about y."""
    return {"seen_area_share": float(areas[tilt_from_x_deg(normals) <= tilt_max_deg].sum() / areas.sum())}


def _slices(place: Place) -> Box:
    return tuple(slice(int(a), int(a + n)) for a, n in zip(place.start, place.mask.shape, strict=True))  # type: ignore[return-value]


def _roi_set(places: Sequence[Place], grid: Grid, columns: Iterable[str]) -> RoiSet:
    table: dict[str, Any] = {name: [place.row[name] for place in places] for name in ("membranes", *columns)}
    table["status"] = np.full(len(places), "truth", dtype=object)
    starts, masks = [place.start for place in places], [place.mask for place in places]
    return rois_from_masks(starts, masks, grid.shape, grid.voxel_size_nm, grid.origin_nm, table)
