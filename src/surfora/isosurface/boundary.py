"""The boundary of a voxel mask as a smooth mesh: unbiased, gaps kept open, open where the volume cuts it."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial

import edt
import numpy as np
from scipy.ndimage import gaussian_filter, zoom
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from surfora.geometry.arrays import Floats, Grid32, Ints, Mask
from surfora.geometry.surface import SurfaceMesh, face_areas_nm2, vertex_normals
from surfora.isosurface.fit import adjacency, fit_patches, neighbour_means
from surfora.isosurface.levelset import OBSTACLE, TUBE, curvature_flow
from surfora.isosurface.pinholes import without_pinholes
from surfora.isosurface.settings import IsosurfaceSettings
from surfora.isosurface.tiles import marched, marched_boundary
from surfora.masks.cleaning import mask_box
from tomocore.contract import InputError, Progress, no_progress
from tomocore.volumes.volume import index_to_world

SHARES = 100  # of a step, that progress is told in
MARGIN = 4  # voxels of background about the mask, where the volume has them
ROUGH_COSINE, SMOOTH_COSINE = 0.5, 0.7  # least cosine of normals in a patch: first round, later rounds


def isosurface(
    mask: Mask,
    voxel_size_nm: float,
    origin_nm: tuple[float, float, float] = (0.0, 0.0, 0.0),
    settings: IsosurfaceSettings = IsosurfaceSettings(),
    progress: Progress = no_progress,
    medial: SurfaceMesh | None = None,
) -> SurfaceMesh:
    """Mesh of the mask's boundary in nm, normals and winding outward from the mask, array ``bend_per_nm``.

    The boundary lies halfway between voxel centres inside and outside. Where the mask reaches the edge of
    the volume, nothing is known beyond: the mesh stays open there, at the outermost voxel centres.

    mask: bool (z, y, x). medial: the membrane's medial mesh, if there is one: holes of the mask that it
    closes are closed here too. Raises InputError for an empty mask, one without background, or nothing left.

    mask: bool [z, y, x]; voxel_size_nm: the edge; origin_nm: world place x, y, z of voxel (0, 0, 0).
    """
    if mask.ndim != 3 or not mask.any():
        raise InputError("the mask is empty; check the label and the threshold it was made with")
    if mask.all():
        raise InputError("the mask fills its volume and has no boundary; choose a larger region or a label")
    total = SHARES * (2 + max(settings.fit_rounds, 1))
    progress(0, total)
    if medial is not None:
        mask = without_pinholes(mask, voxel_size_nm, origin_nm, medial)
    box = mask_box(np.asarray(mask, dtype=bool), MARGIN)
    indices, faces = _marched(mask[box], settings)
    progress(SHARES, total)
    start = np.array([axis.start for axis in box])
    vertices = index_to_world(indices / settings.supersampling + start, voxel_size_nm, origin_nm)
    vertices, faces = _without_specks(vertices, faces, settings.smallest_part_nm2)
    low, high = index_to_world([np.zeros(3), np.array(mask.shape) - 1], voxel_size_nm, origin_nm)
    held = np.isclose(vertices, low) | np.isclose(vertices, high)
    progress(2 * SHARES, total)

    def told(round_: int, done: int, count: int) -> None:
        progress(SHARES * (2 + round_) + SHARES * done // count, total)

    vertices, normals, bend = _smoothed(vertices, faces, held, voxel_size_nm, settings, told)
    progress(total, total)
    return SurfaceMesh(vertices, faces, normals, {"bend_per_nm": bend})


def _marched(mask: Mask, settings: IsosurfaceSettings) -> tuple[Floats, Ints]:
    """Vertices as indices of the grid (n, 3) z, y, x, and triangles that wind outward in x, y, z."""
    if settings.scheme == "surface" and settings.supersampling == 1 and settings.gaussian_voxels == 0:
        return marched_boundary(mask)
    field = distance_field(mask, settings)
    if not field.min() < 0 < field.max():
        raise InputError("nothing of the mask is left after smoothing; smooth less")
    return marched(field)


def distance_field(mask: Mask, settings: IsosurfaceSettings) -> Grid32:
    """Signed distance (z, y, x) in grid cells to the mask's boundary, negative inside, smoothed as asked.

    EDT to the nearest voxel inside less EDT to the nearest outside: neighbouring voxel centres on either
    side have ±1, so that zero lies halfway between them.
    """
    threads = os.cpu_count() or 1
    outside = edt.edt(~mask, parallel=threads)
    field = outside - edt.edt(mask, parallel=threads)
    cells = settings.supersampling
    if cells > 1:
        shape = [(width - 1) * cells + 1 for width in field.shape]
        field = cells * zoom(field, np.divide(shape, field.shape), order=1)
    reference = np.ascontiguousarray(field, dtype=np.float32)
    if settings.gaussian_voxels > 0:
        field = gaussian_filter(reference, settings.gaussian_voxels * cells, mode="nearest")
    if settings.scheme == "surface":
        return field
    constraint = OBSTACLE if settings.scheme == "published" else TUBE
    steps = settings.flow_steps * cells**2
    return curvature_flow(field, reference, steps, constraint, settings.tube_voxels * cells)


def _without_specks(vertices: Floats, faces: Ints, least_area_nm2: float) -> tuple[Floats, Ints]:
    """The parts of the mesh (by shared vertices) that have at least this area."""
    ends = (faces[:, :2].ravel(), faces[:, 1:].ravel())
    links = coo_array((np.ones(len(ends[0]), np.int8), ends), shape=(len(vertices),) * 2)
    part = connected_components(links, directed=False)[1][faces[:, 0]]
    area = np.bincount(part, weights=face_areas_nm2(vertices, faces))
    kept = faces[area[part] >= least_area_nm2]
    if len(kept) == 0:
        raise InputError(
            f"no part of the boundary has {least_area_nm2:g} nm²; check the voxel size, or lower "
            "smallest_part_nm2"
        )
    used, renumbered = np.unique(kept, return_inverse=True)
    return vertices[used], renumbered.reshape(-1, 3)


def _smoothed(
    vertices: Floats,
    faces: Ints,
    held: Mask,
    voxel_size_nm: float,
    settings: IsosurfaceSettings,
    told: Callable[[int, int, int], None],
) -> tuple[Floats, Floats, Floats]:
    """Vertices (moved by the "surface" scheme only, never along axes held), normals and bend of the fits.

    held: (n, 3); told: of how many fits of each round are done, of how many.
    """
    start, neighbour = adjacency(faces, len(vertices))
    normals = _averaged(vertex_normals(vertices, faces), start, neighbour)
    radius = settings.fit_radius_voxels * voxel_size_nm
    first = vertices
    if settings.scheme != "surface" or settings.fit_rounds == 0:
        fits = fit_patches(vertices, normals, start, neighbour, radius, SMOOTH_COSINE, partial(told, 0))
        return vertices, fits.normals, fits.bend
    for number in range(settings.fit_rounds):
        vertices = _evened(vertices, normals, start, neighbour)
        least_cosine = ROUGH_COSINE if number == 0 else SMOOTH_COSINE
        fits = fit_patches(vertices, normals, start, neighbour, radius, least_cosine, partial(told, number))
        moved = vertices + np.nan_to_num(fits.height)[:, None] * normals
        normals = fits.normals
        vertices = _kept_near(moved, first, settings.tube_voxels * voxel_size_nm)
        vertices[held] = first[held]
    return vertices, normals, fits.bend


def _averaged(normals: Floats, start: Ints, neighbour: Ints) -> Floats:
    """Normals averaged thrice with those of the neighbours: voxel steps no longer turn them about."""
    for _ in range(3):
        normals = normals + neighbour_means(normals, start, neighbour)
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return normals


def _evened(vertices: Floats, normals: Floats, start: Ints, neighbour: Ints) -> Floats:
    """Vertices moved half way to the mean of their neighbours, within the surface: better triangles."""
    step = 0.5 * (neighbour_means(vertices, start, neighbour) - vertices)
    return vertices + step - np.einsum("ij,ij->i", step, normals)[:, None] * normals


def _kept_near(vertices: Floats, first: Floats, farthest: float) -> Floats:
    step = vertices - first
    length = np.linalg.norm(step, axis=1, keepdims=True)
    return first + step * np.minimum(1.0, farthest / np.maximum(length, 1e-12))
