"""From oriented points to a mesh: ball pivoting over a scan of radii, the gap filter, small loops filled."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numba import get_num_threads
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from surfora.geometry.arrays import Floats, Ints, Mask
from surfora.geometry.surface import PointCloud, SurfaceMesh, face_areas_nm2
from surfora.meshing.gap_filter import gap_tests
from surfora.meshing.loops import (
    boundary_loops,
    fill_loops,
    half_edge_twins,
    measure_loops,
    mend_folds,
    split_bow_ties,
)
from surfora.meshing.pivot_kernel import EMPTY, Cloud, Front, Limits, Rows, pivot_pass, visit_points
from surfora.meshing.settings import MeshSettings
from tomocore.contract import InputError, Progress, no_progress
from tomocore.volumes.volume import Volume

log = logging.getLogger(__name__)

SIXTH_NEIGHBOUR = 1.8  # distance to the sixth neighbour in a Poisson-disc sampling, in its spacings
REACH = 1.1  # neighbours are kept this much beyond the ball's diameter, for where the spacing grows
MOST_ROWS = 4e6
CHUNK = 8192  # points that a thread takes at a time
PINHOLE_SLACK = 0.4  # voxels
TIE_BREAK = 1e-4  # displacement, in spacings, that keeps four points of a lattice off one ball


def mesh_points(
    cloud: PointCloud,
    settings: MeshSettings = MeshSettings(),
    support: Volume | None = None,
    foreign: Mask | None = None,
    progress: Progress = no_progress,
) -> SurfaceMesh:
    """Triangle mesh of an oriented cloud, wound along its normals; its arrays stay on the vertices.

    Ball pivoting over a scan of radii; triangles that cross a gap of ``support`` (the membrane's mask as a
    bool Volume) or a voxel of ``foreign`` (mask on the same grid) are dropped, then small components; holes
    up to ``fill_loops_nm`` are closed where the support backs them. Without support only those that the
    largest ball cannot pass are. The local spacing is read from ``cloud.data["spacing_nm"]``,
    else estimated. Raises InputError where the cloud has no normals, or no triangle comes out.
    """
    points, normals = _oriented(cloud)
    spacing = cloud.data.get("spacing_nm")
    faces = ball_pivot(points, normals, settings, spacing, progress=progress)
    if support is not None:
        faces = _without_gaps(points, faces, support, foreign, settings)
    faces = _without_small_components(points, faces, settings.smallest_component_nm2)
    if support is not None and settings.fill_loops_nm > 0:
        faces = _with_holes_closed(points, normals, faces, support, foreign, settings)
    if len(faces) == 0:
        if support is not None and not _lie_in(points, support):
            raise InputError(
                "no point lies in a voxel of the mask; they lie in different places, so check their origins, "
                "voxel size and unit"
            )
        raise InputError(
            f"no triangle could be made of {len(points)} points; check that they lie on a surface, "
            "their spacing_nm, and smallest_component_nm2"
        )
    return _as_mesh(cloud, normals, faces)


def _lie_in(points: Floats, mask: Volume) -> bool:
    """Whether any of the points (n, 3) in nm lies in a voxel of a mask."""
    at = np.rint(mask.index(points)).astype(np.int64)
    at = at[((at >= 0) & (at < mask.shape)).all(axis=1)]
    return bool(np.asarray(mask.data)[tuple(at.T)].any())


def ball_pivot(
    points: Floats,
    normals: Floats,
    settings: MeshSettings = MeshSettings(),
    spacing_nm: float | Floats | None = None,
    *,
    progress: Progress = no_progress,
) -> Ints:
    """Triangles (m, 3) over points (n, 3) nm, wound along their normals (n, 3), no edge on three triangles.

    A ball of each radius, from small to large, rolls over every edge still open and touches the next point
    first (Bernardini et al. 1999). Only points that can lie on one sheet (see ``in_one_sheet``) stop it, so
    an apposed membrane does not. Holes that the largest ball cannot pass are then closed. ``spacing_nm``:
    the sampling distance, one or one per point (n,); estimated where None. Points that repeat another, have
    no normal or are not finite are left out.
    """
    spacing = _local_spacing(points, spacing_nm)
    chosen = _usable(points, normals, spacing)
    unit = normals[chosen] / np.linalg.norm(normals[chosen], axis=1, keepdims=True)
    faces = chosen[_pivot_over_radii(points[chosen], unit, spacing[chosen], settings, progress)]
    return _close_small_holes(points, normals, faces, spacing, settings)


def estimate_spacing_nm(points: Floats) -> Floats:
    """Local sampling distance (n,) in nm, from the density: the median over each point's six neighbours."""
    if len(points) < 8:
        raise InputError(f"{len(points)} points are too few to mesh; at least 8 are needed")
    distance, neighbour = cKDTree(points).query(points, k=7, workers=-1)
    return np.median(distance[:, 6][neighbour], axis=1) / SIXTH_NEIGHBOUR


def _oriented(cloud: PointCloud) -> tuple[Floats, Floats]:
    if cloud.normals is None:
        raise InputError("the points have no normals; orient them first with `surfora orient`")
    if cloud.normals.shape != cloud.points.shape:
        raise InputError(
            f"{len(cloud.points)} points but {len(cloud.normals)} normals; write the cloud again"
        )
    return np.asarray(cloud.points, dtype=np.float64), np.asarray(cloud.normals, dtype=np.float64)


def _local_spacing(points: Floats, spacing_nm: float | Floats | None) -> Floats:
    if spacing_nm is None:
        return estimate_spacing_nm(points)
    spacing = np.broadcast_to(np.asarray(spacing_nm, dtype=np.float64), len(points)).copy()
    if not (np.isfinite(spacing).all() and (spacing > 0).all()):
        raise InputError("spacing_nm must be positive numbers of nm; leave it out to have it estimated")
    return spacing


def _usable(points: Floats, normals: Floats, spacing: Floats) -> Ints:
    """Indices of the finite points with a normal, each place once."""
    length = np.linalg.norm(normals, axis=1)
    good = np.flatnonzero(np.isfinite(points).all(axis=1) & np.isfinite(length) & (length > 0))
    if len(good) < len(points):
        log.warning(
            "%d of %d points are not finite or have no normal: left out", len(points) - len(good), len(points)
        )
    cell = np.round(points[good] / (0.01 * spacing[good].min(initial=1.0))).astype(np.int64)
    return good[np.sort(np.unique(cell, axis=0, return_index=True)[1])]


def _sorted_rows(points: Floats, width: float) -> tuple[Ints, Rows]:
    """Order of the points by (x, y) row of at least ``width``, then by z, and the table of rows."""
    low = points.min(axis=0)
    extent = np.ptp(points, axis=0)
    width = max(width, float(np.sqrt(extent[0] * extent[1] / MOST_ROWS)))
    column = ((points[:, :2] - low[:2]) / width).astype(np.int64)
    nx, ny = (int(v) + 1 for v in column.max(axis=0))
    row = column[:, 0] * ny + column[:, 1]
    order = np.lexsort((points[:, 2], row))
    start = np.searchsorted(row[order], np.arange(nx * ny + 1))
    return order, Rows(start, nx, ny, float(low[0]), float(low[1]), width)


def _pivot_over_radii(
    points: Floats, normals: Floats, spacing: Floats, settings: MeshSettings, progress: Progress
) -> Ints:
    """Triangles of distinct points with unit normals, before any hole is closed."""
    n = len(points)
    factors = np.geomspace(
        settings.smallest_radius_spacings, settings.largest_radius_spacings, settings.radius_count
    )
    still = points + TIE_BREAK * spacing[:, None] * np.random.default_rng(0).standard_normal((n, 3))
    order, rows = _sorted_rows(still, 2 * factors[0] * float(np.median(spacing)))
    cloud = Cloud(still[order], normals[order], spacing[order])
    limits = Limits(
        lift=float(np.sin(np.deg2rad(settings.sheet_angle_deg))),
        turn=0.0,
        facing=float(np.cos(np.deg2rad(settings.normal_angle_deg))),
    )
    front, count = _empty_front(n), 0
    for done, factor in enumerate(factors):
        progress(done, len(factors))
        open_points = ~front.used | (front.open_at > 0)
        if not open_points.any():
            break
        start, found = sheet_neighbours(cloud, rows, limits, open_points, 2 * factor * REACH)
        count = pivot_pass(cloud, limits, front, start, found, factor, count)
    progress(len(factors), len(factors))
    return order[front.faces[:count]]


def sheet_neighbours(
    cloud: Cloud, rows: Rows, limits: Limits, asked: Mask, reach: float
) -> tuple[Ints, Ints]:
    """Neighbours (CSR: start, found) within ``reach`` × spacing and in one sheet, of the points asked for.

    cloud, rows: the sorted points and where their rows start; limits: of one sheet; asked: mask (n,).
    """
    start = np.zeros(len(asked) + 1, np.int64)
    found = np.empty(0, np.int64)

    def visit(first: int) -> None:
        visit_points(cloud, rows, limits, asked, reach, start, found, first, min(first + CHUNK, len(asked)))

    with ThreadPoolExecutor(get_num_threads()) as pool:
        list(pool.map(visit, range(0, len(asked), CHUNK)))
        np.cumsum(start, out=start)
        found = np.empty(start[-1], np.int64)
        list(pool.map(visit, range(0, len(asked), CHUNK)))
    return start, found


def _empty_front(n: int) -> Front:
    most = 3 * n  # triangles; a manifold has 2 n
    return Front(
        faces=np.zeros((most, 3), np.int64),
        ball=np.zeros(most),
        used=np.zeros(n, np.bool_),
        open_at=np.zeros(n, np.int64),
        half_edges=np.full(1 << int(np.ceil(np.log2(4 * most))), EMPTY, np.int64),
        queue=np.empty(3 * most + 3, np.int64),
    )


def _close_small_holes(
    points: Floats, normals: Floats, faces: Ints, spacing: Floats, settings: MeshSettings
) -> Ints:
    """Close the loops that the largest ball cannot pass: their length is less than its circumference."""
    loops = boundary_loops(faces)
    radius = np.array([spacing[loop].mean() for loop in loops]) * settings.largest_radius_spacings
    small = measure_loops(points, loops).perimeter_nm <= 2 * np.pi * radius
    chosen = [loop for loop, is_small in zip(loops, small, strict=True) if is_small]
    filled, owner = fill_loops(points, normals, faces, chosen, _facing(settings))
    unfilled = [loop for i, loop in enumerate(chosen) if i not in set(owner.tolist())]
    return mend_folds(points, normals, np.concatenate([faces, filled]), unfilled, _facing(settings))


def _without_gaps(
    points: Floats, faces: Ints, support: Volume, foreign: Mask | None, settings: MeshSettings
) -> Ints:
    keep = gap_tests(points, faces, support, foreign=foreign, limit_voxels=settings.gap_limit_voxels).keep
    if not keep.all():
        log.info("%d of %d triangles crossed a gap: dropped", int((~keep).sum()), len(keep))
    return faces[keep]


def _without_small_components(points: Floats, faces: Ints, least_nm2: float) -> Ints:
    """The faces of components of at least ``least_nm2``; components join over edges."""
    if len(faces) == 0:
        return faces
    component = face_components(faces)
    area = np.bincount(component, weights=face_areas_nm2(points, faces))
    return faces[area[component] >= least_nm2]


def face_components(faces: Ints) -> Ints:
    """Number (m,) of the connected component of each triangle; neighbours share an edge."""
    twins = half_edge_twins(faces)
    inner = np.flatnonzero(twins >= 0)
    links = coo_array((np.ones(len(inner), bool), (inner // 3, twins[inner] // 3)), shape=(len(faces),) * 2)
    return connected_components(links, directed=False)[1].astype(np.int64)


def _with_holes_closed(
    points: Floats,
    normals: Floats,
    faces: Ints,
    support: Volume,
    foreign: Mask | None,
    settings: MeshSettings,
) -> Ints:
    """Close the loops across whose filling the support has no gap.

    A pinhole may be a little farther from the mask: it is closed in on all sides, so nothing is bridged.
    """
    gap, fill_nm = settings.gap_limit_voxels, settings.fill_loops_nm
    for most_nm, limit in ((fill_nm, gap), (min(settings.pinhole_nm, fill_nm), gap + PINHOLE_SLACK)):
        loops = boundary_loops(faces)
        small = measure_loops(points, loops).diameter_nm <= most_nm
        chosen = [loop for loop, is_small in zip(loops, small, strict=True) if is_small]
        filled, owner = fill_loops(points, normals, faces, chosen, _facing(settings))
        keep = gap_tests(points, filled, support, foreign=foreign, limit_voxels=limit).keep
        refused = np.unique(owner[~keep])
        faces = np.concatenate([faces, filled[~np.isin(owner, refused)]])
    return faces


def _facing(settings: MeshSettings) -> float:
    return float(np.cos(np.deg2rad(settings.normal_angle_deg)))


def _as_mesh(cloud: PointCloud, normals: Floats, faces: Ints) -> SurfaceMesh:
    """The faces over the cloud's points, each vertex with one fan and the cloud's unit normal and arrays."""
    faces, source = split_bow_ties(faces, len(cloud.points))
    unit = normals[source] / np.linalg.norm(normals[source], axis=1, keepdims=True)
    data = {name: values[source] for name, values in cloud.data.items()}
    return SurfaceMesh(cloud.points[source], faces, unit, data).with_faces(faces)
