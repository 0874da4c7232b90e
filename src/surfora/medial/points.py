"""The middle of a membrane mask as an even, single layer of points: projection onto local quadrics."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from surfora.geometry.arrays import Floats, Ints, Mask
from surfora.geometry.frames import tangents
from surfora.geometry.occupancy import occupancy, set_voxels
from surfora.geometry.sampling import poisson_disc
from surfora.geometry.surface import PointCloud
from surfora.masks.cleaning import mask_box, require_membrane, sheet_thickness, voxel_depths
from surfora.masks.folds import folds_apart
from surfora.masks.sheets import sheets_apart
from surfora.medial.projection import (
    Lattice,
    Patches,
    chosen_patches,
    face_lattice,
    joined_patches,
    new_patches,
    on_patches,
    point_lattice,
    principal_bending,
    project_points,
    shared_bending,
    sheet_normals,
)
from surfora.medial.rims import with_faces_at_rims, without, without_end_walls
from surfora.medial.settings import MedialSettings
from surfora.medial.thickened import ADDED, THIN, thickened, thinned_again
from tomocore.contract import InputError, Progress, no_progress

log = logging.getLogger(__name__)


STEPS = 6  # of a part, told as progress
MODES = {"faces": 0, "cylinder": 1, "ball": 2}
LAID = 6  # places laid out on the innermost ring about a patch
HOLD = 1.0  # weight of the neighbours' thickness beside a point's own crossings
_NEIGHBOURS = [(z << 42) + (y << 21) + x for z in (-1, 0, 1) for y in (-1, 0, 1) for x in (-1, 0, 1)]
NEAR_RIM_LEAN = 0.08
RIM_RADIUS = 1.5  # of the usual radius: at rims a wider, one-sided quadric errs more by the sheet's bend
RIM_STEPS = np.arange(-1.5, 3.01, 0.25)  # voxels outward from a point near a rim
OFF_MIDDLE = 0.25  # voxels from a neighbour's patch, beyond what its bending explains
ATHWART = 0.5  # cosine between normals that no smooth membrane reaches between neighbours
SEAM = 0.75  # of their spacing: how near to each other points of two fits may lie
LEAST_SHARE = 0.25  # of the smallest area asked: what may become so little is not looked at
RIM_LEAN = 0.28  # of the radius: how far a point lies off the middle of its support within 2 voxels of an end


@dataclass(frozen=True)
class Scales:
    """The lengths of one run, in voxels; of a thin mask, as it is once thickened."""

    thin: bool
    thickness: float
    spacing: float
    min_spacing: float
    turn: float
    seed_spacing: float
    radius: float
    radius_bounds: tuple[float, float]
    mode: int


def medial_points(
    mask: Mask,
    voxel_size_nm: float,
    origin_nm: tuple[float, float, float] = (0.0, 0.0, 0.0),
    settings: MedialSettings = MedialSettings(),
    progress: Progress = no_progress,
) -> PointCloud:
    """Points (n, 3) x, y, z in nm on the middle of the membrane, with unit normals of undecided sign.

    mask: bool [z, y, x]; origin_nm: world place x, y, z of voxel (0, 0, 0). Data: ``rim`` (bool, the point
    lies at an open edge), ``spacing_nm`` (distance kept to the neighbours), ``thickness_nm`` (of the
    membrane there). Raises InputError for a mask that is empty or too small to carry a surface.

    Iterated projection onto local quadrics (moving least squares; Levin 2004) with curvature-adaptive
    spacing. ``fit="faces"`` fits both faces of the mask at once; "cylinder" and "ball" fit the centres of
    its voxels, the latter as published.

    voxel_size_nm: the edge; settings: of the section ``medial``.
    """
    require_membrane(mask)
    box = mask_box(mask, 2)
    sheet = np.ascontiguousarray(mask[box])
    occupied = set_voxels(sheet)
    depth, faces = voxel_depths(sheet, occupied)
    scales = _scales(sheet_thickness(depth, int(faces.sum())), voxel_size_nm, settings)
    parts = _large_parts(sheet, occupied, scales, settings, voxel_size_nm)
    found = []
    for number, part in enumerate(parts):
        tell = _within(progress, number, len(parts))
        found.append(_unfolded_patches(sheet.shape, occupied[part], depth[part], scales, settings, tell))
        tell(STEPS)
    patches = _without_small_pieces(reduce(joined_patches, found), scales, settings, voxel_size_nm)
    corner = np.array([span.start for span in box[::-1]])
    return _cloud(patches, scales, corner, voxel_size_nm, origin_nm)


def _large_parts(
    sheet: Mask, occupied: Ints, scales: Scales, settings: MedialSettings, voxel_size_nm: float
) -> list[Ints]:
    """Which voxels (k,) make up each sheet that may have the area asked, the largest sheet at any rate."""
    number = sheets_apart(sheet, occupied)
    size = np.bincount(number)
    least = LEAST_SHARE * settings.min_area_nm2 / voxel_size_nm**2 * scales.thickness
    large = np.flatnonzero(size >= min(least, size.max()))
    order = np.argsort(number, kind="stable")
    first = np.searchsorted(number[order], np.arange(len(size) + 1))
    return [np.sort(order[first[k] : first[k + 1]]) for k in large]


def _within(progress: Progress, part: int, parts: int) -> Callable[[int], None]:
    """What tells how many steps of a part are done as progress among all parts."""
    return lambda step: progress(part * STEPS + step, parts * STEPS)


def _unfolded_patches(
    shape: tuple[int, ...],
    occupied: Ints,
    depth: Floats,
    scales: Scales,
    settings: MedialSettings,
    tell: Callable[[int], None],
) -> Patches:
    """The patches of one sheet, given as to `_part_patches`; where it folds back beside itself, of each fold.

    Near another part of the sheet the patches of all of it are dropped for those of the fold alone.
    """
    alone = np.zeros(shape, dtype=bool)
    alone[tuple(occupied.T)] = True
    patches = _part_patches(shape, occupied, depth, scales, settings, tell)
    folds = folds_apart(alone, occupied)
    if not folds:
        return patches
    tree = cKDTree(occupied[:, ::-1])
    folded = np.concatenate([fold.core for fold in folds])
    found = [chosen_patches(patches, ~np.isin(tree.query(patches.points)[1], folded))]
    for fold in folds:
        own = _part_patches(shape, occupied[fold.voxels], depth[fold.voxels], scales, settings)
        found.append(chosen_patches(own, np.isin(tree.query(own.points)[1], fold.core)))
    patches = reduce(joined_patches, found)
    order = -np.round(patches.error, 2)
    kept = poisson_disc(patches.points, SEAM * _spacing(patches, scales), order, settings.seed)
    return chosen_patches(patches, np.sort(kept))


def _part_patches(
    shape: tuple[int, ...],
    occupied: Ints,
    depth: Floats,
    scales: Scales,
    settings: MedialSettings,
    tell: Callable[[int], None] = lambda step: None,
) -> Patches:
    """The patches of one sheet, given by its voxels (n, 3) in a mask of this shape and their depths (n,).

    ``tell`` is told how many of its `STEPS` are done.
    """
    low, high = np.maximum(occupied.min(axis=0) - 2, 0), np.minimum(occupied.max(axis=0) + 3, shape)
    sheet = np.zeros(high - low, dtype=bool)
    occupied = occupied - low
    sheet[tuple(occupied.T)] = True
    widened = np.empty((0, 3))
    if scales.thin:
        thick, wider = thickened(sheet, occupied)
        widened = occupied[wider, ::-1].astype(np.float64)
        sheet, occupied = thick, set_voxels(thick)
        depth = voxel_depths(sheet, occupied)[0]
    centres = occupied[:, ::-1].astype(np.float64)
    lattice = face_lattice(sheet, occupied) if scales.mode == 0 else point_lattice(centres, sheet.shape)
    seeds = _seeds(centres, depth, sheet.shape, scales, settings.seed)
    if len(seeds.points) == 0:
        return seeds
    tell(1)
    patches, wall = _settled(sheet, lattice, seeds, scales, settings.projections)
    whole, lattice = lattice, without(lattice, wall)
    tell(2)
    patches = _supported(sheet, patches)
    if len(patches.points) == 0:
        return patches
    patches = _single_layer(patches, scales.seed_spacing)
    patches = _densified(sheet, lattice, patches, scales.seed_spacing, scales, settings)
    tell(3)
    patches = _single_layer(patches, scales.spacing)
    patches = _even(_at_rims(sheet, patches), patches, scales, settings)
    tell(4)
    patches = _single_layer(
        _densified(sheet, lattice, patches, scales.spacing, scales, settings), scales.spacing
    )
    tell(5)
    project_points(lattice, patches, np.arange(len(patches.points)), 2, scales.mode, HOLD)
    if wall.any() and not scales.thin:  # in a thickened sheet what was added ends in steps of its own
        patches = _refitted_at_rims(with_faces_at_rims(whole, wall, patches), patches, scales)
    patches = _supported(sheet, patches)
    half = thinned_again(patches.half_thickness, patches.points, patches.normals, widened)
    return patches._replace(points=patches.points + low[::-1], half_thickness=half)


def _scales(thickness: float, voxel_size_nm: float, settings: MedialSettings) -> Scales:
    """Lengths in voxels, from the measured thickness of the sheet in voxels and the settings."""
    spacing = (settings.spacing_nm or 1.25 * voxel_size_nm) / voxel_size_nm
    thin = thickness < THIN
    narrow = (settings.min_spacing_nm or (0.4 if thin else 0.8) * voxel_size_nm) / voxel_size_nm
    turn = float(np.deg2rad(settings.turn_deg or (5.0 if thin else 12.0)))
    if settings.min_spacing_nm and settings.spacing_nm and narrow > spacing:
        raise InputError(
            f"medial.min_spacing_nm = {settings.min_spacing_nm:g} exceeds medial.spacing_nm = "
            f"{settings.spacing_nm:g}; lower it"
        )
    thickness += ADDED * thin
    # Below 5 voxels a neighbourhood holds too few steps of the faces, above 9 it flattens real curvature.
    radius = float(np.clip(settings.radius_thicknesses * thickness, 5.0, 9.0))
    apart = max(spacing, 0.6 * thickness)
    bounds = (2.8 if thin else 4.0, 1.75 * radius)
    mode = MODES[settings.fit]
    return Scales(thin, thickness, spacing, min(narrow, spacing), turn, apart, radius, bounds, mode)


def _seeds(centres: Floats, depth: Floats, shape: tuple[int, ...], scales: Scales, seed: int) -> Patches:
    """Flat patches on thinned voxel centres that lie deep in the sheet.

    Only voxels that no neighbour out-deepens, so that no second layer of seeds starts beside the first.
    """
    ridge = _on_ridge(centres, depth)
    points, deep = centres[ridge], depth[ridge]
    kept = poisson_disc(points, scales.seed_spacing, deep, seed)
    kept = kept[~_at_corners(points, deep, kept, scales)]
    normals = sheet_normals(point_lattice(points, shape), points[kept], max(scales.radius, 6.0))
    return new_patches(points[kept], normals, scales.thickness / 2, scales.radius)


def _on_ridge(centres: Floats, depth: Floats) -> Mask:
    """Mask (n,) of the voxels that none of their 26 neighbours exceeds in depth by a quarter voxel."""
    x, y, z = (centres + 1).astype(np.int64).T
    key = (z << 42) | (y << 21) | x
    ascending = np.argsort(key)
    ordered, deep = key[ascending], np.append(depth[ascending], 0.0)
    deepest = np.zeros(len(depth))
    for shift in _NEIGHBOURS:
        place = np.searchsorted(ordered, ordered + shift)
        there = np.append(ordered, -1)[place] == ordered + shift
        np.maximum(deepest, deep[np.where(there, place, len(depth))], out=deepest)
    ridge = np.empty(len(depth), dtype=bool)
    ridge[ascending] = deep[:-1] >= deepest - 0.25
    return ridge


def _at_corners(points: Floats, depth: Floats, chosen: Ints, scales: Scales) -> Mask:
    """Mask (n,) of the chosen ridge points that run out to the corners of a rim: shallow beside deep ones."""
    reach = max(2.0, 1.5 * scales.thickness)
    near = cKDTree(points).query(points[chosen], k=32, distance_upper_bound=reach)[1]
    return depth[chosen] < 0.6 * np.append(depth, 0.0)[near].max(axis=1)


def _settled(
    sheet: Mask, lattice: Lattice, patches: Patches, scales: Scales, projections: int
) -> tuple[Patches, Mask]:
    """The patches projected until they rest, each with a radius that suits its place; which crossings are
    end walls of the mask, which would pass for faces."""
    everyone = np.arange(len(patches.points))
    for _ in range(projections):
        project_points(lattice, patches, everyone, 2, scales.mode, 0.0)
    patches = chosen_patches(patches, np.isfinite(patches.error))
    wall = np.zeros(len(lattice.out), dtype=bool)
    if scales.mode == 0:
        patches, wall = without_end_walls(
            sheet, lattice, patches, scales.thickness, scales.seed_spacing, HOLD
        )
        _adapt_radii(without(lattice, wall), patches, scales)
    return chosen_patches(patches, np.isfinite(patches.error)), wall


def _adapt_radii(lattice: Lattice, patches: Patches, scales: Scales) -> None:
    """Widen neighbourhoods that say too little, as on terraces along the voxel planes; narrow bent ones.

    A quadric over radius r misses a sphere of radius R by up to r⁴ / (48 R³), so r stays below 0.7 R.
    """
    narrowest, high = scales.radius_bounds
    low = narrowest + 4 * np.maximum(patches.noise - 0.1, 0)
    project_points(lattice, patches, np.arange(len(patches.points)), 2, scales.mode, HOLD)
    for _ in range(4):
        tolerance = np.maximum(0.025, 0.1 * patches.noise)
        wanted = np.where(patches.error > tolerance, np.minimum(1.25 * patches.radius, high), patches.radius)
        wanted = np.minimum(wanted, np.maximum(0.7 / np.maximum(_shared_bending(patches), 1e-6), low))
        changed = np.flatnonzero(np.abs(wanted - patches.radius) > 0.02 * patches.radius)
        if len(changed) == 0:
            return
        patches.radius[changed] = wanted[changed]
        project_points(lattice, patches, changed, 2, scales.mode, HOLD)


def _shared_bending(patches: Patches) -> Floats:
    """The largest second derivative (n,) of the mean patch of each point and its nearest: noise cancels."""
    near = cKDTree(patches.points).query(patches.points, k=min(8, len(patches.points)))[1]
    return shared_bending(patches, near.reshape(len(patches.points), -1))


def _supported(sheet: Mask, patches: Patches) -> Patches:
    """The patches whose fit stands and whose point lies in the sheet."""
    inside = occupancy(sheet, patches.points) >= 0.35
    return chosen_patches(patches, inside & np.isfinite(patches.error))


def _spacing(patches: Patches, scales: Scales) -> Floats:
    """Spacing (n,) in voxels by the turn of the membrane, between its bounds."""
    by_turn = scales.turn / np.maximum(_shared_bending(patches), 1e-6)
    return np.clip(by_turn, scales.min_spacing, scales.spacing)


def _densified(
    sheet: Mask, lattice: Lattice, patches: Patches, reach: float, scales: Scales, settings: MedialSettings
) -> Patches:
    """More patches where neighbours are farther apart than the spacing asks, laid out on tangent patches."""
    spacing = _spacing(patches, scales)
    parent, points, normals = _laid_out(patches, spacing, reach)
    held = np.flatnonzero(occupancy(sheet, points) >= 0.5)
    parent = np.concatenate([np.arange(len(spacing)), parent[held]])
    points = np.concatenate([patches.points, points[held]])
    normals = np.concatenate([patches.normals, normals[held]])
    order = np.arange(len(points)) < len(spacing)
    kept = poisson_disc(points, spacing[parent], order, settings.seed)
    kept = kept[kept >= len(spacing)]
    added = chosen_patches(patches, parent[kept])._replace(points=points[kept], normals=normals[kept])
    for _ in range(2):
        project_points(lattice, added, np.arange(len(kept)), 2, scales.mode, HOLD)
    return joined_patches(patches, _supported(sheet, added))


def _laid_out(patches: Patches, spacing: Floats, reach: float) -> tuple[Ints, Floats, Floats]:
    """Rings of places about each patch, on its quadric, out to the reach: parents, points and normals."""
    along, across = tangents(patches.normals)
    parents, points, normals = [], [], []
    rings = np.ceil(reach / spacing).astype(int)
    for ring in range(1, int(rings.max(initial=0)) + 1):
        parent = np.flatnonzero(rings >= ring)
        away = 1.02 * ring * spacing[parent, None]
        for turn in np.arange(LAID * ring) * (2 * np.pi / (LAID * ring)):
            offsets = away * (np.cos(turn) * along[parent] + np.sin(turn) * across[parent])
            place, normal = on_patches(chosen_patches(patches, parent), offsets)
            parents.append(parent)
            points.append(place)
            normals.append(normal)
    return np.concatenate(parents), np.concatenate(points), np.concatenate(normals)


def _at_rims(sheet: Mask, patches: Patches) -> Patches:
    """Patches on the rim itself: each patch near one, carried along its quadric to where the sheet ends.

    The sheet ends where less than half of it is left about the middle, over a thickness and two voxels
    along the rim: so a rim cut at an angle, or rounded, ends where the middle does.
    """
    near = chosen_patches(patches, np.linalg.norm(patches.lean, axis=1) > NEAR_RIM_LEAN)
    outward = near.lean / np.linalg.norm(near.lean, axis=1, keepdims=True)
    sideways = np.cross(near.normals, outward)
    left = np.stack([_left_over(sheet, near, outward * step, sideways) for step in RIM_STEPS], axis=1)
    ends = left < 0.5
    first = np.argmax(ends, axis=1)
    reached = np.flatnonzero(ends.any(axis=1) & (first > 0))
    first = first[reached]
    before, after = left[reached, first - 1], left[reached, first]
    step = RIM_STEPS[first] - (0.5 - after) / (before - after) * (RIM_STEPS[1] - RIM_STEPS[0])
    rim = chosen_patches(near, reached)
    points, normals = on_patches(rim, outward[reached] * step[:, None])
    return rim._replace(points=points, normals=normals)


def _refitted_at_rims(lattice: Lattice, patches: Patches, scales: Scales) -> Patches:
    """The patches, those near rims fitted to a lattice whose faces go on to the rim, in place."""
    near = np.flatnonzero(np.linalg.norm(patches.lean, axis=1) > NEAR_RIM_LEAN)
    widest = RIM_RADIUS * scales.radius + 8 * np.maximum(patches.noise[near] - 0.1, 0)
    patches.radius[near] = np.minimum(patches.radius[near], widest)
    lean = patches.lean.copy()
    project_points(lattice, patches, near, 2, scales.mode, HOLD)
    return patches._replace(lean=lean)


def _left_over(sheet: Mask, patches: Patches, offsets: Floats, sideways: Floats) -> Floats:
    """How much (n,) of the sheet is there about the quadrics over the tangential offsets (n, 3)."""
    total = np.zeros(len(offsets))
    for aside in (-1.0, 0.0, 1.0):
        points, normals = on_patches(patches, offsets + aside * sideways)
        for level in (-0.6, 0.0, 0.6):
            height = level * patches.half_thickness[:, None]
            total += occupancy(sheet, points + height * normals)
    return total / 9


def _single_layer(patches: Patches, spacing: float) -> Patches:
    """Without points inside the membrane of better determined neighbours, yet off its middle or athwart it.

    Another sheet lies more than a thickness away; a stray point of the same sheet, as the end walls of two
    sheets side by side can give, does not.
    """
    near = cKDTree(patches.points).query(patches.points, k=13, distance_upper_bound=2.2 * spacing)[1]
    there = near[:, 1:] < len(patches.points)
    other = np.where(there, near[:, 1:], 0)
    offset = patches.points[:, None] - patches.points[other]
    height = np.einsum("nki,nki->nk", offset, patches.normals[other])
    sagitta = 0.5 * principal_bending(patches)[other] * np.maximum(np.sum(offset**2, axis=2) - height**2, 0)
    facing = np.abs(np.einsum("ni,nki->nk", patches.normals, patches.normals[other]))
    better = there & (patches.error[other] < 0.8 * patches.error[:, None])
    better &= np.abs(height) < patches.half_thickness[other] + 0.25
    off = (np.abs(height) - sagitta > OFF_MIDDLE) | (facing < ATHWART)
    return chosen_patches(patches, np.sum(better & off, axis=1) <= 0.5 * np.sum(better, axis=1))


def _even(rims: Patches, patches: Patches, scales: Scales, settings: MedialSettings) -> Patches:
    """Thinned to the spacing asked, those on rims first, then the best determined."""
    both = joined_patches(rims, patches)
    order = -np.round(both.error, 2)
    order[: len(rims.points)] = 1.0
    kept = poisson_disc(both.points, _spacing(both, scales), order, settings.seed)
    return chosen_patches(both, kept)


def _without_small_pieces(
    patches: Patches, scales: Scales, settings: MedialSettings, voxel_size_nm: float
) -> Patches:
    """Without connected pieces of less area than asked; InputError where nothing is left."""
    large, piece = np.zeros(1, dtype=bool), np.empty(0, dtype=np.int64)
    if len(patches.points):
        area = 1.45 * (_spacing(patches, scales) * voxel_size_nm) ** 2
        pairs = cKDTree(patches.points).query_pairs(2.0 * scales.spacing, output_type="ndarray")
        links = coo_array((np.ones(len(pairs), bool), pairs.T), shape=(len(area), len(area)))
        _, piece = connected_components(links, directed=False)
        large = np.bincount(piece, weights=area) >= settings.min_area_nm2
    if not large.any():
        raise InputError(
            f"mask: no piece of {settings.min_area_nm2:g} nm² of membrane surface found; "
            "lower medial.min_area_nm2 or check the mask"
        )
    return chosen_patches(patches, large[piece])


def _cloud(
    patches: Patches,
    scales: Scales,
    corner: Ints,
    voxel_size_nm: float,
    origin_nm: tuple[float, float, float],
) -> PointCloud:
    """The patches as points in the world."""
    points = (patches.points + corner) * voxel_size_nm + np.asarray(origin_nm)
    return PointCloud(points, patches.normals.copy()).with_data(
        rim=np.linalg.norm(patches.lean, axis=1) > RIM_LEAN,
        spacing_nm=_spacing(patches, scales) * voxel_size_nm,
        thickness_nm=2 * patches.half_thickness * voxel_size_nm,
    )
