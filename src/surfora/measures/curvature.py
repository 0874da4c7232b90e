"""Curvature of triangle meshes by local jets over geodesic balls, at a scale that the data choose.

By default (``scale="averaged"``) fits stay small, at the radius of the smallest predicted error up to half
of the largest, and what they tell is averaged along the surface as far as it says the same. Two rules for
a fit alone remain: that of the smallest predicted error over all radii (``"balanced"``), and the published
one (``"stable"``), the smallest radius at which H stops changing. Each vertex gets an error bar.

    curved = mesh_curvature(mesh)
    curved.data["mean_curvature_per_nm"]
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from surfora.geometry.arrays import Floats, Ints, Mask
from surfora.geometry.surface import SurfaceMesh, boundary_vertices, vertex_areas_nm2, vertex_normals
from surfora.measures.averaging import averaged
from surfora.measures.curvature_scales import (
    ORDERS,
    Choice,
    Fits,
    balanced_choice,
    fits_taken,
    joined,
    noise_density,
    stable_choice,
)
from surfora.measures.geodesics import Fans, boundary_distance_nm, spatial_order, triangle_fans
from surfora.measures.jets import MEAN, PORTION, jet_table
from surfora.measures.representative_vertices import carriers_of, interpolated, interpolation
from surfora.measures.settings import CurvatureSettings
from surfora.measures.statistics import require_values
from tomocore.contract import InputError, Progress, no_progress

BLOCK = 65536
NOISE_SAMPLE = 3000
# Of the noise of a fit alone what its correlation hides; where fits are averaged, that takes it off again.
NOISE_UNSEEN = 2.0
FITTED_TO = 0.55  # of the largest radius, the radii that are fitted where fits are averaged
# Spacing of the vertices fitted on a dense mesh, in smallest radii: a ball of that radius still holds twice
# what order 4 needs.
CARRIER_SPACING = 0.22
LEAST_GAIN = 1.2  # mean edges, below which that spacing leaves too few vertices out to be worth it
HALF_DISC_OFFSET = 4.0 / (3.0 * np.pi)


def mesh_curvature(
    mesh: SurfaceMesh, settings: CurvatureSettings | None = None, progress: Progress = no_progress
) -> SurfaceMesh:
    """The mesh with its curvature at every vertex, NaN at boundary vertices and where no fit was possible.

    Arrays added: mean_curvature_per_nm, gaussian_curvature_per_nm2, k1_per_nm ≥ k2_per_nm, k1_direction (n,
    3), shape_index (−1 to 1) and curvedness_per_nm (see `shape_of`), curvature_error_per_nm (one standard
    error of H), curvature_radius_nm (the radius chosen), curvature_confidence (0–1), boundary_distance_nm.
    H > 0 where the surface bends outward along its normals (the mesh's own, or else its winding's). Where
    the mesh is much finer than the smallest radius, few of its vertices are fitted and stand for all.
    Raises InputError where the mesh has no triangles or non-finite vertices, and NoValues where no vertex at
    all could be fitted.
    """
    settings = settings or CurvatureSettings()
    _require_mesh(mesh)
    order = spatial_order(mesh.vertices)
    sorted_mesh = _renumbered(mesh, order)
    fans = triangle_fans(sorted_mesh.vertices, sorted_mesh.faces)
    found = _curvature_of(sorted_mesh, fans, settings, progress)
    require_values(found["mean_curvature_per_nm"], _why_no_curvature(mesh, settings))
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    found["boundary_distance_nm"] = boundary_distance_nm(sorted_mesh.vertices, sorted_mesh.faces, fans)
    return mesh.with_data(**{name: values[back] for name, values in found.items()})


def scan_radii_nm(settings: CurvatureSettings, mean_edge_nm: float) -> Floats:
    """The radii (r,) in nm that a mesh of this mean edge is scanned at."""
    if settings.radii_nm:
        return np.array(settings.radii_nm)
    smallest = max(settings.smallest_radius_nm, 2.5 * mean_edge_nm)
    largest = max(settings.largest_radius_nm, 6.0 * mean_edge_nm, smallest)
    return np.geomspace(smallest, largest, settings.radii_count)


def confidence(
    size_per_nm: Floats, error_per_nm: Floats, offset: Floats, neighbours_over_terms: Floats
) -> Floats:
    """Trust (n,) between 0 and 1: the product of three parts, each 1 at best; 0 where there is no fit.

    The error's part falls to a half where the error of H is a quarter of the curvature's size (root mean
    square of H and the differences) plus 0.005/nm; the side's part from 1 for a whole ball to 0 for half a
    disc, as at a boundary; the count's part rises to 1 at two neighbours for each coefficient.
    """
    of_error = 1.0 / (1.0 + (error_per_nm / (0.25 * size_per_nm + 0.005)) ** 2)
    of_side = 1.0 - np.minimum(offset / HALF_DISC_OFFSET, 1.0) ** 2
    of_count = np.minimum(neighbours_over_terms / 2.0, 1.0)
    return np.nan_to_num(of_error * of_side * of_count, nan=0.0)


def shape_of(k1_per_nm: Floats, k2_per_nm: Floats) -> tuple[Floats, Floats]:
    """Shape index and curvedness in 1/nm, each (n,), of principal curvatures k1 ≥ k2 in 1/nm.

    The index (2/π) atan((k1 + k2) / (k1 − k2)) tells the shape whatever its size: 1 where the surface bends
    outward alike all round (a vesicle), ½ a ridge or tube, 0 a saddle, −½ a rut, −1 a cup seen from inside.
    The curvedness √((k1² + k2²) / 2) tells how strong it is bent, 1/R on a sphere. Koenderink & van Doorn
    (1992), with the sign such that a sphere with outward normals has 1.
    """
    shape_index = 2.0 / np.pi * np.arctan2(k1_per_nm + k2_per_nm, k1_per_nm - k2_per_nm)
    return shape_index, np.sqrt(0.5 * (k1_per_nm**2 + k2_per_nm**2))


def _curvature_of(
    mesh: SurfaceMesh, fans: Fans, settings: CurvatureSettings, progress: Progress
) -> dict[str, NDArray]:
    normals = mesh.normals if mesh.normals is not None else vertex_normals(mesh.vertices, mesh.faces)
    areas = vertex_areas_nm2(mesh.vertices, mesh.faces)
    mean_edge_nm = float(fans.shape[:, 0].mean())
    radii = scan_radii_nm(settings, mean_edge_nm)
    inner = (areas > 0) & ~boundary_vertices(mesh.faces, len(areas))
    spacing_nm = CARRIER_SPACING * float(radii[0])
    if settings.coordinates != "arc" or spacing_nm < LEAST_GAIN * mean_edge_nm:
        return _fitted(mesh.vertices, normals, areas, fans, inner, radii, settings, progress)
    few = carriers_of(mesh.vertices, areas, inner, fans, spacing_nm)
    at = few.vertex
    found = _fitted(
        mesh.vertices[at], normals[at], few.areas_nm2, few.fans, inner[at], radii, settings, progress
    )
    known = np.isfinite(found["mean_curvature_per_nm"])
    weights = interpolation(few, mesh.vertices, normals, spacing_nm, known)
    return _consistent(interpolated(found, weights, few, normals, known), inner)


def _consistent(found: dict[str, NDArray], inner: Mask) -> dict[str, NDArray]:
    """Interpolated arrays with K and the shape of the k1 and k2 there, and none on the boundary."""
    mean, half = found["mean_curvature_per_nm"], np.maximum(found["k1_per_nm"] - found["k2_per_nm"], 0.0) / 2
    k1, k2 = found["k1_per_nm"], found["k2_per_nm"] = mean + half, mean - half
    found["gaussian_curvature_per_nm2"] = k1 * k2
    found["shape_index"], found["curvedness_per_nm"] = shape_of(k1, k2)
    for name, values in found.items():
        values[~inner] = 0.0 if name == "curvature_confidence" else np.nan
    found["curvature_confidence"] = np.nan_to_num(found["curvature_confidence"])
    return found


def _fitted(
    vertices: Floats,
    normals: Floats,
    areas_nm2: Floats,
    fans: Fans,
    wanted: Mask,
    radii_nm: Floats,
    settings: CurvatureSettings,
    progress: Progress,
) -> dict[str, NDArray]:
    """The result arrays (n, …) of fits about the vertices that are wanted (n,), NaN at the others.

    vertices, normals: (n, 3), of the areas (n,) that they stand for; fans: their edges; radii_nm: the scan.
    """
    inner, neighbours = np.flatnonzero(wanted), _neighbours(fans)
    averages = _averages(settings)
    steps = len(inner) * (1 + averages)
    fitted_nm = radii_nm[radii_nm <= max(FITTED_TO * radii_nm[-1], radii_nm[0])] if averages else radii_nm

    def table_of(sources: Ints) -> Floats:
        return jet_table(
            sources, fitted_nm, ORDERS, vertices, normals, areas_nm2, fans,
            coordinates=settings.coordinates, neighbours_per_term=settings.neighbours_per_term,
        ).astype(np.float32)  # fmt: skip

    taken = []
    for begin in range(0, len(inner), BLOCK):
        block = inner[begin : begin + BLOCK]
        parts = []
        for part in range(0, len(block), PORTION):
            parts.append(table_of(block[part : part + PORTION]))
            progress(min(begin + part + PORTION, len(inner)), steps)
        table = np.concatenate(parts)
        choice = _choose(table, fitted_nm, csr_array(neighbours[block][:, block]), settings)
        taken.append(fits_taken(table, choice, fitted_nm))
    if not taken:
        return _arrays(Fits.none(len(vertices)))
    fits = joined(taken, inner, len(vertices))
    if averages and np.isfinite(fits.mean_per_nm).any():
        largest_nm = float(radii_nm[-1])
        fits = averaged(
            fits, vertices, normals, areas_nm2, fans, largest_nm, neighbours,
            progress=lambda done, count: progress(steps - count + done, steps),
        )  # fmt: skip
    return _arrays(fits)


def _averages(settings: CurvatureSettings) -> bool:
    return settings.scale == "averaged" and not settings.radii_nm


def _neighbours(fans: Fans) -> csr_array:
    """Which vertices share an edge: (n, n) of ones."""
    count = len(fans.start) - 1
    return csr_array((np.ones(len(fans.corner)), fans.corner[:, 0], fans.start), shape=(count, count))


def _choose(table: Floats, radii_nm: Floats, neighbours: csr_array, settings: CurvatureSettings) -> Choice:
    if settings.scale != "stable":
        sample = table[:: max(1, len(table) // NOISE_SAMPLE)]
        averages = _averages(settings)
        unseen = 1.0 if averages else NOISE_UNSEEN
        density = unseen * noise_density(sample, radii_nm, grows_on=averages)
        return balanced_choice(table, radii_nm, density, settings.order, neighbours)
    kind = ORDERS.index(4 if settings.order == "auto" else settings.order)
    radius, change = stable_choice(
        table[:, :, kind, MEAN], settings.tau_rel, settings.tau_abs_per_nm, settings.epsilon_per_nm
    )
    return Choice(radius, np.where(radius < 0, -1, kind), change, np.zeros((len(table), 2)))


def _arrays(fits: Fits) -> dict[str, NDArray]:
    """The result arrays (n, …) of fits."""
    mean, half = fits.mean_per_nm, fits.half_per_nm
    shape_index, curvedness = shape_of(mean + half, mean - half)
    return {
        "mean_curvature_per_nm": mean,
        "gaussian_curvature_per_nm2": mean**2 - half**2,
        "k1_per_nm": mean + half,
        "k2_per_nm": mean - half,
        "shape_index": shape_index,
        "curvedness_per_nm": curvedness,
        "k1_direction": fits.k1_direction,
        "curvature_error_per_nm": fits.error_per_nm,
        "curvature_radius_nm": fits.radius_nm,
        "curvature_confidence": confidence(
            np.hypot(mean, half), fits.error_per_nm, fits.offset, fits.filling
        ),
    }


def _renumbered(mesh: SurfaceMesh, order: Ints) -> SurfaceMesh:
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    normals = None if mesh.normals is None else mesh.normals[order]
    return SurfaceMesh(mesh.vertices[order], rank[mesh.faces], normals)


def _why_no_curvature(mesh: SurfaceMesh, settings: CurvatureSettings) -> str:
    count = len(mesh.vertices)
    if boundary_vertices(mesh.faces, count).all():
        return f"curvature: all {count} vertices lie on the border; the surface is too small to fit"
    largest = settings.radii_nm[-1] if settings.radii_nm else settings.largest_radius_nm
    return (
        f"curvature: none of {count} vertices has neighbours enough for a fit within {largest:g} nm; raise "
        "curvature.largest_radius_nm, refine the mesh, or check the unit of its file"
    )


def _require_mesh(mesh: SurfaceMesh) -> None:
    if len(mesh.faces) == 0:
        raise InputError("curvature: the mesh has no triangles; mesh the points first with `surfora mesh`")
    if not np.isfinite(mesh.vertices).all():
        raise InputError("curvature: the mesh has vertices that are not finite; mesh the points again")
