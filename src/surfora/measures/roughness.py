"""Roughness: the height of a surface over its own smooth reference, root mean square over patches.

The reference is the Gaussian regression filter of roughness metrology (ISO 16610-31), on the surface
itself: about a vertex a polynomial of order 4 in geodesic polar coordinates is fitted with weights
exp(−(d/s)²) out to 2 s, and its height at the vertex is the reference there. Orders up to 4 pass
unhindered, so spheres, tubes and saddles count as form and not as roughness: with a cut-off of 20 nm a
sphere of radius 10 nm leaves 0.04 nm, one of 15 nm 0.005 nm. A wave of the cut-off wavelength keeps half of
its amplitude, longer waves less (``transfer``).

Voxels alone make a membrane rough: ``voxel_noise_floor_nm`` says by how much.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numba import njit, prange
from scipy.special import j0, j1, jv

from surfora.geometry.arrays import Floats, Ints
from surfora.geometry.sampling import poisson_disc
from surfora.geometry.surface import SurfaceMesh, boundary_vertices, vertex_areas_nm2, vertex_normals
from surfora.measures.geodesics import ball, new_front, spatial_order, triangle_fans
from surfora.measures.jets import HEIGHT, OFFSET, jet_table
from surfora.measures.settings import RoughnessSettings
from surfora.measures.statistics import require_values
from tomocore.contract import InputError, Progress, no_progress

ORDER = 4
REACH_TAPERS = 2.0
# Radius of the fit at which a wave keeps half its amplitude, in wavelengths: the root of transfer(1) = 1/2.
RADIUS_WAVELENGTHS = 1.2484
# Fits at an open rim bend after the surface and leave too little. How far a weighted ball's centroid may
# lie off the vertex, in radii: at 0.1, about half a cut-off wavelength from a rim, 0.87 of the roughness is
# left.
LARGEST_OFFSET = 0.1
SAMPLES_PER_CUTOFF = 5.0
FEWEST_SAMPLES = 6
BLOCK = 4096
TASKS = 8


def mesh_roughness(
    mesh: SurfaceMesh,
    settings: RoughnessSettings | None = None,
    voxel_size_nm: float | None = None,
    progress: Progress = no_progress,
) -> SurfaceMesh:
    """The mesh with roughness_nm: the root mean square height over its smooth reference around every vertex.

    With the voxel size also roughness_floor_nm, what voxels alone would give (one value for all vertices).
    Roughness is NaN where a patch holds too few whole neighbourhoods, as near an open rim. Raises
    InputError where the mesh has no triangles, and NoValues where no patch holds enough.
    """
    settings = settings or RoughnessSettings()
    if len(mesh.faces) == 0:
        raise InputError("roughness: the mesh has no triangles; mesh the points first with `surfora mesh`")
    order = spatial_order(mesh.vertices)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    vertices, faces = mesh.vertices[order], rank[mesh.faces]
    normals = vertex_normals(vertices, faces) if mesh.normals is None else mesh.normals[order]
    height = sampled_heights_nm(vertices, faces, normals, settings.cutoff_wavelength_nm, progress)
    rough = _patch_rms(height, settings.patch_radius_nm, vertices, faces, normals)
    require_values(
        rough,
        f"roughness: no patch is whole over a cut-off of {settings.cutoff_wavelength_nm:g} nm, which the "
        "surface is too small for; lower roughness.cutoff_wavelength_nm",
    )
    found = mesh.with_data(roughness_nm=rough[rank])
    if voxel_size_nm is None:
        return found
    thickness = settings.membrane_thickness_nm
    fit = 1.75 * thickness if settings.fit_radius_nm is None else settings.fit_radius_nm
    floor = voxel_noise_floor_nm(voxel_size_nm, thickness, fit, settings.cutoff_wavelength_nm)
    return found.with_data(roughness_floor_nm=np.full(len(rough), floor))


def sampled_heights_nm(
    vertices: Floats,
    faces: Ints,
    normals: Floats,
    cutoff_wavelength_nm: float,
    progress: Progress = no_progress,
) -> Floats:
    """Height (n,) in nm of the vertices over their smooth reference, positive on the normals' side.

    It is taken at vertices a fifth of the cut-off wavelength apart, as the heights of nearer ones tell the
    same; NaN at the others and where the neighbourhood is cut off by a rim.

    vertices, normals: (n, 3) in nm; faces: (m, 3); cutoff_wavelength_nm: the wavelength of which half is
    form.
    """
    fans = triangle_fans(vertices, faces)
    areas = vertex_areas_nm2(vertices, faces)
    radius = RADIUS_WAVELENGTHS * cutoff_wavelength_nm
    inner = np.flatnonzero((areas > 0) & ~boundary_vertices(faces, len(areas)))
    inner = inner[poisson_disc(vertices[inner], cutoff_wavelength_nm / SAMPLES_PER_CUTOFF)]
    height = np.full(len(vertices), np.nan)
    for begin in range(0, len(inner), BLOCK):
        sources = inner[begin : begin + BLOCK]
        fit = jet_table(
            sources, np.array([radius]), (ORDER,), vertices, normals, areas, fans,
            coordinates="geodesic", taper_nm=radius / REACH_TAPERS,
        )[:, 0, 0]  # fmt: skip
        height[sources] = np.where(fit[:, OFFSET] <= LARGEST_OFFSET, -fit[:, HEIGHT], np.nan)
        progress(min(begin + BLOCK, len(inner)), len(inner))
    return height


def transfer(wavelengths: Floats) -> Floats:
    """Share (n,) of a wave's amplitude that counts as roughness, for wavelengths in units of the cut-off's.

    The fit at the centre is linear in the heights, and a wave's mean around a circle of radius r is
    J₀(2πr/λ): so fit J₀ by even powers of r under the same weights, and take what is left at r = 0.
    """
    r = (np.arange(400) + 0.5) / 400
    weight = r * np.exp(-((REACH_TAPERS * r) ** 2))
    powers = r ** np.arange(0, ORDER + 1, 2)[:, None]
    wave = j0(2 * np.pi * RADIUS_WAVELENGTHS * r / np.asarray(wavelengths, dtype=np.float64)[..., None])
    coefficients = np.linalg.solve((powers * weight) @ powers.T, (powers * weight))
    return np.asarray(1.0 - wave @ coefficients[0])


def _patch_rms(height: Floats, radius_nm: float, vertices: Floats, faces: Ints, normals: Floats) -> Floats:
    """Root mean square (n,) of the known heights within a geodesic radius; NaN where too few are known."""
    known = np.flatnonzero(np.isfinite(height))
    sums, counts = _patch_sums(
        max(1, min(TASKS, len(known))), radius_nm, known, height[known] ** 2, vertices, normals,
        *triangle_fans(vertices, faces).arrays,
    )  # fmt: skip
    count = counts.sum(axis=0)
    return np.where(count >= FEWEST_SAMPLES, np.sqrt(sums.sum(axis=0) / np.maximum(count, 1)), np.nan)


@lru_cache(maxsize=64)
def voxel_noise_floor_nm(
    voxel_size_nm: float,
    thickness_nm: float,
    fit_radius_nm: float,
    cutoff_wavelength_nm: float,
    planes: int = 128,
) -> float:
    """Roughness in nm of flat membranes of voxels, over tilts spread evenly over the sphere.

    A column of voxels through a plane sheet holds those between its two faces; their middle is off the
    sheet's by a sawtooth, which the tilt makes a wave over the sheet. Its spectrum passes the quadratic
    fits that placed the points (a disc of ``fit_radius_nm``) and the roughness filter; the floor is the
    root mean square over planes.

    voxel_size_nm: the edge; thickness_nm: of the membrane in the mask; cutoff_wavelength_nm: as of
    `sampled_heights_nm`.
    """
    size = 128
    column = np.stack(np.meshgrid(np.arange(size), np.arange(size), indexing="ij"), axis=-1)
    frequency = np.stack(np.meshgrid(*[np.fft.fftfreq(size)] * 2, indexing="ij"), axis=-1)
    window = np.hanning(size)[:, None] * np.hanning(size)
    table_nm = np.geomspace(voxel_size_nm, 100.0 * cutoff_wavelength_nm, 2000)
    passed = _fit_transfer(2 * np.pi * fit_radius_nm / table_nm) * transfer(table_nm / cutoff_wavelength_nm)
    variances = []
    for tilt, offset in zip(_tilts(planes), np.arange(planes) * 0.7548776662 % 1.0, strict=True):
        level = -(column @ tilt[:2]) / tilt[2] + offset
        half = 0.5 * thickness_nm / voxel_size_nm / tilt[2]
        middle = 0.5 * (np.floor(level + half) + np.ceil(level - half))
        spectrum = np.abs(np.fft.fft2(window * (middle - level) * tilt[2])) ** 2
        # along the steepest line the sheet is longer than its columns, and its waves with it
        steep = frequency @ tilt[:2] / max(float(np.linalg.norm(tilt[:2])), 1e-12)
        waves = np.sqrt(np.maximum((frequency**2).sum(axis=-1) - steep**2 * (1 - tilt[2] ** 2), 1e-12))
        wavelength_nm = voxel_size_nm / waves
        kept = np.interp(np.log(wavelength_nm), np.log(table_nm), passed)
        variances.append((spectrum * kept**2).sum() / size**2 / (window**2).sum())
    return float(np.sqrt(np.mean(variances)) * voxel_size_nm)


def _tilts(count: int) -> Floats:
    """Unit vectors (count, 3) spread evenly (a Fibonacci spiral), each folded so that |x|, |y| ≤ z."""
    height = 1.0 - (np.arange(count) + 0.5) / count
    turn = np.pi * (1.0 + 5**0.5) * np.arange(count)
    across = np.sqrt(1.0 - height**2)
    return np.sort(np.abs(np.stack([across * np.cos(turn), across * np.sin(turn), height], axis=1)), axis=1)


def _fit_transfer(kr: Floats) -> Floats:
    """Share of a wave's amplitude that a quadratic fit over a disc keeps at its centre, for wavenumber ×
    radius."""
    kr = np.maximum(kr, 1e-3)
    return np.asarray(24.0 * jv(2, kr) / kr**2 - 4.0 * j1(kr) / kr)


@njit(cache=True, nogil=True, parallel=True)
def _patch_sums(
    tasks: int, radius: float, sources: Any, squares: Any, vertices: Any, normals: Any,
    start: Any, corner: Any, shape: Any,
) -> Any:  # fmt: skip
    """Sums and counts (tasks, n) of the squares within the radius: a source adds to all that it reaches."""
    sums = np.zeros((tasks, len(vertices)))
    counts = np.zeros((tasks, len(vertices)), np.int32)
    for task in prange(tasks):
        front = new_front(len(vertices))
        for at in range(task * len(sources) // tasks, (task + 1) * len(sources) // tasks):
            count = ball(front, sources[at], radius, vertices, normals, start, corner, shape)
            for slot in range(count):
                sums[task, front[1][slot]] += squares[at]
                counts[task, front[1][slot]] += 1
    return sums, counts
