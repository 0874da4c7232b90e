"""Synthetic tomograms of real geometry: a segmentation's membranes given density, imaging and contact truth.

The membranes of a segmentation are a few voxels thick and open where the missing wedge hid them. Their
mid-surfaces are taken as points with normals, and all truth is exact with respect to those.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.spatial import cKDTree

from tomocore.contract import InputError, Progress, no_progress, whole_number
from tomocore.files import require_writable_folder
from tomocore.locks import one_writer
from tomocore.roiset import Bools
from tomocore.settings import Settings
from tomocore.volumes.formats import is_whole
from tomocore.volumes.volume import Volume
from tomorois.phantoms.imaging import ImagingSettings, drawn_optics
from tomorois.phantoms.phantom import MARGIN_NM, Phantom, imaged, training_labels, write_phantom
from tomorois.phantoms.scene import Scene
from tomorois.phantoms.shapes import Box, Floats, Grid, near_voxels
from tomorois.phantoms.specimen import SpecimenSettings, drawn_tethers
from tomorois.phantoms.truth import Place, Side, kept_and_small, membrane_labels, places_of_pair

log = logging.getLogger(__name__)

NEIGHBOURS = 40
PLANE_NEIGHBOURS = 4
PROJECTIONS = 2
POINTS_AT_ONCE = 50_000


class LabelPhantomSettings(Settings):
    """How a segmentation becomes a synthetic tomogram."""

    contact_limit_nm: float = Field(
        30.0,
        gt=5,
        le=200,
        description="Gap in nm, mid-membrane to mid-membrane, up to which membranes are in contact.",
    )
    margin_nm: float = Field(
        60.0, ge=0, description="How far in nm the tomogram reaches beyond the contacts; it is cut there."
    )
    ignore_border_nm: float = Field(
        0.0,
        ge=0,
        le=20,
        description="Voxels this close in nm to an ROI's border are labelled 255, to be ignored.",
    )
    specimen: SpecimenSettings = Field(SpecimenSettings(), description="What membranes are made of.")
    imaging: ImagingSettings = Field(ImagingSettings(), description="How they are imaged.")


@dataclass(frozen=True)
class Sheet:
    """An open membrane: mid-surface points (n, 3) in nm, unit normals of either sign, and areas in nm².

    A `Surface` whose distances are never negative, as it has no inside.
    """

    points: Floats
    normals: Floats
    areas: Floats
    spacing_nm: float
    tree: cKDTree

    def distance_nm(self, points: Floats) -> Floats:
        """Distances (n,) to the planes of the nearest points, and beyond the rim to the rim."""
        return self.nearest(points)[0]

    def nearest(self, points: Floats) -> tuple[Floats, Floats]:
        """Distances (n,), and the mid-surface points (n, 3) nearest to the points."""
        away, index = self.tree.query(points, k=min(PLANE_NEIGHBOURS, len(self.points)), workers=-1)
        away, index = away.reshape(len(points), -1), index.reshape(len(points), -1)
        normals = self.normals[index]
        normals *= np.sign(np.einsum("nkj,nj->nk", normals, normals[:, 0]) + 1e-12)[:, :, None]
        heights = np.einsum("nkj,nkj->nk", normals, points[:, None] - self.points[index])
        weights = np.exp(-0.5 * (away**2 - away[:, :1] ** 2) / self.spacing_nm**2)
        across = np.abs((heights * weights).sum(axis=1) / weights.sum(axis=1))
        beside = np.sqrt(np.maximum(away[:, 0] ** 2 - heights[:, 0] ** 2, 0.0))
        distance = np.hypot(across, np.maximum(beside - self.spacing_nm, 0.0))
        # Planes of a torn rim point anywhere, but some surface lies within two spacings of the nearest point.
        least = np.sqrt(np.maximum(away[:, 0] ** 2 - (2.0 * self.spacing_nm) ** 2, 0.0))
        return np.clip(distance, least, away[:, 0]), self.points[index[:, 0]]

    def samples(self, spacing_nm: float) -> tuple[Floats, Floats]:
        """Its points and areas, whatever spacing is asked for."""
        return self.points, self.areas

    def bounds_nm(self) -> tuple[Floats, Floats]:
        """Lowest and highest x, y, z."""
        return self.points.min(axis=0), self.points.max(axis=0)

    def moved(self, shift_nm: Floats) -> Sheet:
        """The same membrane elsewhere."""
        return replace(self, points=self.points + shift_nm, tree=cKDTree(self.points + shift_nm))


def sheet_from_mask(mask: Bools, grid: Grid) -> Sheet:
    """The mid-surface of a thin mask (z, y, x) on a grid.

    Each voxel moves twice along the normal of its neighbourhood onto that neighbourhood's plane; one point is
    kept in each cube of 1.5 voxels.
    """
    points = grid.world(np.argwhere(mask))
    if len(points) < NEIGHBOURS:
        raise InputError(f"a membrane of {len(points)} voxels is too small; leave its label out")
    for _ in range(PROJECTIONS):
        points, normals = _onto_planes(points, 2.0 * grid.voxel_size_nm)
    spacing = 1.5 * grid.voxel_size_nm
    _, kept = np.unique(np.floor(points / spacing), axis=0, return_index=True)
    points, normals = points[kept], normals[kept]
    tree = cKDTree(points)
    return Sheet(points, normals, _areas_nm2(points, normals, tree, 5.0 * spacing), spacing, tree)


def label_pairs(names: Sequence[str]) -> list[tuple[int, int]]:
    """Pairs of labels from their names ("1:3"); InputError where there are none or they are no such names."""
    if not names:
        raise InputError("no pair of labels is named; say with --pairs 1:3 whose contacts are the ROIs")
    pairs = []
    for name in names:
        numbers = [number for part in name.split(":") if (number := whole_number(part)) is not None]
        if len(numbers) != 2 or name.count(":") != 1 or numbers[0] == numbers[1]:
            raise InputError(f"--pairs {name}: write two different labels with a colon between, as 1:3")
        pairs.append((numbers[0], numbers[1]))
    return pairs


def phantom_from_labels(
    labels: Volume,
    pairs: Sequence[tuple[int, int]],
    seed: int,
    settings: LabelPhantomSettings = LabelPhantomSettings(),
    progress: Progress = no_progress,
) -> Phantom:
    """A synthetic tomogram of a segmentation's membranes about the contacts of pairs of its labels.

    Every value of ``labels`` above zero becomes a membrane. ROIs are the places where two labels of ``pairs``
    come within ``settings.contact_limit_nm``, as in `contact_truth`, each membrane facing both ways. All that
    is drawn (optics, tethers, proteins, noise) follows from ``seed``; the membranes stay. ``progress`` counts
    membranes, and the imaging as one more. Raises InputError for labels that are not there, and where no pair
    comes close enough.
    """
    data = np.asarray(labels.data)
    values = [int(value) for value in np.unique(data) if value > 0]
    for value in {value for pair in pairs for value in pair} - set(values):
        raise InputError(f"no label {value} in the segmentation; its labels are {values}")
    view = _contact_box(labels, pairs, settings)
    wide = _grown(view, round(MARGIN_NM / labels.voxel_size_nm), labels.shape)
    grid, wide_grid = _grid_of(labels, view), _grid_of(labels, wide)
    masks = {value: data[wide] == value for value in values}
    masks = {value: mask for value, mask in masks.items() if mask.sum() >= NEIGHBOURS}
    sheets = {}
    for done, (value, mask) in enumerate(masks.items(), start=1):
        sheets[value] = sheet_from_mask(mask, wide_grid)
        progress(done, len(masks) + 1)
    phantom = _phantom_of_sheets(sheets, pairs, grid, seed, settings)
    progress(len(masks) + 1, len(masks) + 1)
    return phantom


def write_phantom_from_labels(
    folder: Path,
    stem: str,
    labels: Volume,
    pairs: Sequence[tuple[int, int]],
    seed: int,
    settings: LabelPhantomSettings = LabelPhantomSettings(),
    overwrite: bool = False,
    progress: Progress = no_progress,
) -> Path:
    """Write ``<stem>.mrc`` and its truth into ``folder`` as `write_phantoms` does; return its path.

    ``labels``, ``pairs``, ``seed``, ``settings`` and ``progress`` as of `phantom_from_labels`. The folder is
    made; a tomogram that exists is left alone, and nothing computed, unless ``overwrite``.
    """
    path = folder / f"{stem}.mrc"
    with one_writer(require_writable_folder(folder) / stem):
        if overwrite or not is_whole(path):
            write_phantom(folder, stem, phantom_from_labels(labels, pairs, seed, settings, progress))
    return path


def _phantom_of_sheets(
    sheets: dict[int, Sheet],
    pairs: Sequence[tuple[int, int]],
    grid: Grid,
    seed: int,
    settings: LabelPhantomSettings,
) -> Phantom:
    drawing, mass, noise = (np.random.default_rng(s) for s in np.random.SeedSequence([seed, 0]).spawn(3))
    optics = drawn_optics(settings.imaging, drawing)
    thickness = settings.specimen.membrane_thickness_nm
    places: list[Place] = []
    tethers = []
    for a, b in pairs:
        voxels, sides = _sheet_contact(sheets[a], sheets[b], grid, settings.contact_limit_nm, thickness)
        places += places_of_pair(voxels, sides, (a, b), grid, settings.imaging.tilt_max_deg)
        tethers += drawn_tethers(sheets[b], sides[0], settings.specimen.tethers_per_1000_nm2, mass)
    rois, small = kept_and_small(places, grid)
    if len(rois) == 0:
        log.warning("no ROI: all contacts within %g nm are too small to count", settings.contact_limit_nm)
    scene = Scene(tuple(sheets.values()), tuple(f"label {value}" for value in sheets), np.zeros((0, 4)), None)
    numbers = np.array([0, *sheets], dtype=np.int16)
    return Phantom(
        tomogram=imaged(scene, tethers, grid, optics, settings.specimen, settings.imaging, (mass, noise)),
        membranes=Volume(
            numbers[membrane_labels(scene.membranes, grid, thickness)], grid.voxel_size_nm, grid.origin_nm
        ),
        rois=rois,
        labels=training_labels(rois, small, settings.ignore_border_nm),
        scene=scene,
        optics=optics,
    )


def _sheet_contact(
    a: Sheet, b: Sheet, grid: Grid, limit_nm: float, thickness_nm: float
) -> tuple[NDArray[np.int64], tuple[Side, Side]]:
    """Voxels between two sheets and in the bilayers there, and the two patches in contact.

    Between the sheets both distances count as positive; beyond one of them, within its bilayer, its own
    distance counts as negative.
    """
    half = 0.5 * thickness_nm
    whole: Box = tuple(slice(0, n) for n in grid.shape)  # type: ignore[assignment]
    voxels = near_voxels((a, b), grid, whole, limit_nm + half + a.spacing_nm)
    points = grid.world(voxels)
    to_a, on_a = a.nearest(points)
    near = to_a <= limit_nm + half
    voxels, points, to_a, on_a = voxels[near], points[near], to_a[near], on_a[near]
    to_b, on_b = b.nearest(points)
    between = np.einsum("nj,nj->n", points - on_a, points - on_b) < 0
    behind_a, behind_b = ~between & (to_a <= half), ~between & (to_b <= half)
    total = np.where(between, to_a + to_b, np.where(behind_a, to_b - to_a, to_a - to_b))
    kept = (between | behind_a | behind_b) & (total <= limit_nm)
    return voxels[kept], (_sheet_side(a, b, grid, limit_nm), _sheet_side(b, a, grid, limit_nm))


def _sheet_side(one: Sheet, other: Sheet, grid: Grid, limit_nm: float) -> Side:
    low, high = grid.corners_nm()
    inside = ((one.points >= low) & (one.points <= high)).all(axis=1)
    gaps, feet = other.nearest(one.points[inside])
    ahead = np.sign(np.einsum("nj,nj->n", one.normals[inside], feet - one.points[inside]) + 1e-12)
    side = Side(one.points[inside], one.areas[inside], gaps, one.normals[inside] * ahead[:, None])
    return side.at(gaps <= limit_nm)


def _areas_nm2(points: Floats, normals: Floats, tree: cKDTree, radius_nm: float) -> Floats:
    """The area (n,) that each point of a sheet stands for: that of a disc about it over the points within.

    Of a disc that the rim cuts, a share of about 1 − 1.18 c / r is left where the points' centroid lies c off
    its middle (half a disc: c = 4 r / 3π; within 1 % between).
    """
    first, second = tree.query_pairs(radius_nm, output_type="ndarray").T
    ends, others = np.concatenate([first, second]), np.concatenate([second, first])
    within = 1.0 + np.bincount(ends, minlength=len(points))
    offsets = points[others] - points[ends]
    sums = np.column_stack([np.bincount(ends, offsets[:, k], len(points)) for k in range(3)])
    sums -= np.einsum("nj,nj->n", sums, normals)[:, None] * normals
    # What even sampling leaves of the centroid's scatter, r² / 4n, is no rim.
    off_middle = np.sqrt(np.maximum((sums**2).sum(axis=1) / within**2 - radius_nm**2 / (4 * within), 0.0))
    return np.pi * radius_nm**2 / within * (1.0 - 1.18 * off_middle / radius_nm)


def _onto_planes(points: Floats, sigma_nm: float) -> tuple[Floats, Floats]:
    """Points moved along their normals onto the weighted planes of their neighbours, and the normals."""
    tree = cKDTree(points)
    moved, normals = np.empty_like(points), np.empty_like(points)
    bounds = [*range(0, len(points), POINTS_AT_ONCE), len(points)]
    for first, last in pairwise(bounds):
        part = points[first:last]
        away, index = tree.query(part, k=NEIGHBOURS, workers=-1)
        weights = np.exp(-0.5 * (away / sigma_nm) ** 2)
        weights /= weights.sum(axis=1, keepdims=True)
        near = points[index]
        centres = np.einsum("nk,nkj->nj", weights, near)
        offsets = near - centres[:, None]
        spread = np.einsum("nk,nki,nkj->nij", weights, offsets, offsets)
        normal = np.linalg.eigh(spread)[1][:, :, 0]
        moved[first:last] = part - np.einsum("nj,nj->n", part - centres, normal)[:, None] * normal
        normals[first:last] = normal
    return moved, normals


def _contact_box(labels: Volume, pairs: Sequence[tuple[int, int]], settings: LabelPhantomSettings) -> Box:
    """The voxels about all places where a pair's labels come within the limit, with the margin."""
    data, reach = np.asarray(labels.data), settings.contact_limit_nm / labels.voxel_size_nm + 1.0
    near = [_near_label(data, a, b, reach) for pair in pairs for a, b in (pair, pair[::-1])]
    places = np.concatenate([voxels for voxels, _ in near])
    if len(places) == 0:
        nearest = min(away for _, away in near) * labels.voxel_size_nm
        raise InputError(
            f"no pair of labels comes within {settings.contact_limit_nm:g} nm, only within {nearest:.0f} nm; "
            "raise contact_limit_nm, or check the voxel size"
        )
    ends = zip(places.min(axis=0), places.max(axis=0), strict=True)
    box: Box = tuple(slice(int(first), int(last) + 1) for first, last in ends)  # type: ignore[assignment]
    return _grown(box, round(settings.margin_nm / labels.voxel_size_nm), labels.shape)


def _near_label(data: NDArray[Any], a: int, b: int, reach: float) -> tuple[NDArray[np.int64], float]:
    """Voxels (n, 3) of label ``a`` within ``reach`` voxels of label ``b``, and about how near they come.

    Blocks of 4 voxels are compared first, which leaves few voxels to be measured.
    """
    voxels, others = np.argwhere(data == a), np.argwhere(data == b)
    blocks, block_of = np.unique(voxels // 4, axis=0, return_inverse=True)
    away = 4 * cKDTree(np.unique(others // 4, axis=0)).query(blocks)[0]
    near = voxels[(away <= reach + 8)[block_of.ravel()]]
    if len(near) == 0:
        return near, float(away.min())
    exact = cKDTree(others).query(near, distance_upper_bound=reach + 16)[0]
    return near[exact <= reach], float(exact.min())


def _grown(box: Box, voxels: int, shape: tuple[int, int, int]) -> Box:
    return tuple(  # type: ignore[return-value]
        slice(max(axis.start - voxels, 0), min(axis.stop + voxels, n))
        for axis, n in zip(box, shape, strict=True)
    )


def _grid_of(labels: Volume, box: Box) -> Grid:
    part = labels.crop(box)
    x, y, z = (float(value) for value in part.origin_nm)
    return Grid(part.shape, part.voxel_size_nm, (x, y, z))
