"""Curvature of triangle meshes by local jets over geodesic balls, at a scale that the data choose.

The published scale rule (``scale="stable"``) takes the smallest radius at which H stops changing. On
surfaces that come from voxels two noisy neighbours agree by chance, and its 95th percentile error is 20–50
%. The default (``scale="balanced"``) predicts the error at every radius and takes the smallest: the noise
part from the scatter of the fits over the mesh, the bias from how far the orders 2 and 4 disagree. It also
gives each vertex an error bar.

    curved = mesh_curvature(mesh)
    curved.data["mean_curvature_per_nm"]
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from scipy.sparse import csr_array

from surfora.geometry.arrays import Floats, Ints, Mask
from surfora.geometry.surface import SurfaceMesh, boundary_vertices, vertex_areas_nm2, vertex_normals
from surfora.measures.carriers import carriers_of, interpolated, interpolation
from surfora.measures.geodesics import Fans, boundary_distance_nm, spatial_order, triangle_fans
from surfora.measures.jets import (
    COUNT,
    DIFFERENCE,
    DIFFERENCE_VARIANCE,
    K1_X,
    K1_Z,
    MEAN,
    MEAN_VARIANCE,
    OFFSET,
    TWIST,
    jet_table,
)
from surfora.measures.statistics import require_values
from tomocore.contract import InputError, Progress, no_progress
from tomocore.settings import Settings

ORDERS = (2, 4)
BLOCK = 65536
PORTION = 4096
NOISE_SAMPLE = 3000
EVENING_ROUNDS = 2
# Bias of order 4 over the squared relative disagreement of the orders: 0.12 on a sphere, 0.3 on the crests
# of a wavy sheet (measured on clean meshes at radii of 0.5 to 2 radian).
BIAS_FACTOR = 0.35
FLAT_PER_NM = 1e-3
# Noise of surfaces from voxels is correlated over 4 to 8 nm, which near radii share: at steps of 1.2 the next
# radius shows a quarter of its variance, the next but one half (nine medial surfaces, two isosurfaces).
RADII_APART = 2
NOISE_UNSEEN = 2.0
# Spacing of the vertices fitted on a dense mesh, in smallest radii: a ball of that radius still holds twice
# what order 4 needs.
CARRIER_SPACING = 0.22
LEAST_GAIN = 1.2  # mean edges, below which that spacing leaves too few vertices out to be worth it
HALF_DISC_OFFSET = 4.0 / (3.0 * np.pi)


class CurvatureSettings(Settings):
    """How curvature is measured."""

    smallest_radius_nm: float = Field(
        4.0,
        gt=0,
        le=1000,
        description="Smallest radius (nm) of the scale scan; at least 2.5 mean edges are taken.",
    )
    largest_radius_nm: float = Field(
        24.0,
        gt=0,
        le=1000,
        description="Largest radius (nm) of the scale scan; at least 6 mean edges are taken.",
    )
    radii_count: int = Field(9, ge=1, le=40, description="Number of radii between them, in equal ratios.")
    radii_nm: tuple[float, ...] = Field(
        (), description="Radii (nm) to scan instead, ascending; one radius alone fixes the scale."
    )
    order: Literal["auto", 2, 4] = Field(
        "auto",
        description="Order of the local polynomials: 2, 4, or auto for 4 wherever the neighbours suffice.",
    )
    coordinates: Literal["arc", "geodesic", "tangent"] = Field(
        "arc",
        description="Balls and coordinates of the polynomials: arc for geodesics taken as circular arcs, "
        "geodesic for fronts marched over the triangles, tangent for the published Monge patch.",
    )
    scale: Literal["balanced", "stable"] = Field(
        "balanced",
        description="Choice of the radius: balanced for the smallest predicted error, stable for the "
        "published rule (the smallest radius at which H no longer changes).",
    )
    tau_rel: float = Field(
        0.05,
        ge=0,
        le=1,
        description="Rule stable: largest relative change of H to the next radius (fraction).",
    )
    tau_abs_per_nm: float = Field(
        0.005, ge=0, le=10, description="Rule stable: largest change of H to the next radius (1/nm)."
    )
    epsilon_per_nm: float = Field(
        1e-3, ge=0, le=1, description="Rule stable: H (1/nm) below which relative change is not asked."
    )
    neighbours_per_term: float = Field(
        1.5,
        ge=1.1,
        le=20,
        description="Vertices that a ball must hold for each coefficient of its polynomial.",
    )

    @model_validator(mode="after")
    def _radii_ascend(self) -> CurvatureSettings:
        if self.largest_radius_nm < self.smallest_radius_nm:
            raise ValueError("largest_radius_nm is below smallest_radius_nm")
        if any(b <= a for a, b in zip((0.0, *self.radii_nm), self.radii_nm, strict=False)):
            raise ValueError("radii_nm must be positive and ascend")
        return self


@dataclass(frozen=True)
class Choice:
    """Which radius and order each vertex took (-1: none), and the standard error (n,) of its H in 1/nm."""

    radius: Ints
    order: Ints
    error_per_nm: Floats


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
    found = _curvature_of(sorted_mesh, settings, progress)
    require_values(found["mean_curvature_per_nm"], _why_no_curvature(mesh, settings))
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    distance = boundary_distance_nm(mesh.vertices, mesh.faces)
    return mesh.with_data(
        **{name: values[back] for name, values in found.items()}, boundary_distance_nm=distance
    )


def scan_radii_nm(settings: CurvatureSettings, mean_edge_nm: float) -> Floats:
    """The radii (r,) in nm that a mesh of this mean edge is scanned at."""
    if settings.radii_nm:
        return np.array(settings.radii_nm)
    smallest = max(settings.smallest_radius_nm, 2.5 * mean_edge_nm)
    largest = max(settings.largest_radius_nm, 6.0 * mean_edge_nm, smallest)
    return np.geomspace(smallest, largest, settings.radii_count)


def noise_density(table: Floats, radii_nm: Floats) -> Floats:
    """Noise density (radii, orders) in nm⁴: variance of height × the area over which it is correlated.

    From the scatter between fits of order 4 at a radius and the next but one. Balls are nested, so without
    bias the variance of the difference is the difference of the variances (Hausman 1978). Noise from voxels
    is correlated, so its density grows with the scale; order 2 sees at r what order 4 sees at 1.6 r.
    """
    apart = min(RADII_APART, len(radii_nm) - 1)
    inner, outer = table[:, : len(radii_nm) - apart, -1], table[:, apart:, -1]
    square = (inner - outer) ** 2
    variances = [MEAN_VARIANCE, DIFFERENCE_VARIANCE]
    fewer = inner[..., variances] - outer[..., variances]
    fewer[~(fewer > 0)] = np.nan  # a ball that holds no more than the other
    both = square[..., DIFFERENCE] + square[..., TWIST]
    # medians of χ² with one and with two degrees of freedom
    of_mean = _median_over_sources(square[..., MEAN] / fewer[..., 0]) / 0.455
    of_difference = _median_over_sources(both / fewer[..., 1]) / 1.386
    found = np.fmin(of_mean, of_difference)
    known = np.isfinite(found)
    if not known.any():
        return np.zeros((len(radii_nm), 2))
    at = np.log(radii_nm)
    high = _growing_ever_slower(np.interp(at, at[: len(found)][known], found[known]))
    return np.stack([np.interp(at + shift, at, high) for shift in (np.log(1.6), 0.0)], axis=1)


def _growing_ever_slower(density: Floats) -> Floats:
    """The density held down to growing by no larger factor than before: steeper growth is bias, not noise."""
    held = density.copy()
    largest = np.inf
    for at in range(1, len(held)):
        factor = min(density[at] / max(held[at - 1], 1e-300), largest)
        largest = factor if factor > 1.0 else largest
        held[at] = held[at - 1] * factor
    return held


def balanced_choice(
    table: Floats,
    radii_nm: Floats,
    density: Floats,
    order: Literal["auto", 2, 4],
    neighbours: csr_array | None = None,
) -> Choice:
    """The radius of the smallest predicted error at each vertex of a jet table of the orders 2 and 4.

    With ``neighbours`` (n, n) the radii are then evened out between neighbouring vertices, which errs less
    than their single choices. Order 2 is taken where it is asked for, and by ``"auto"`` where no ball can
    bear order 4.
    """
    bias, variance = predicted_errors(table, radii_nm, density)
    usable = np.isfinite(table[..., MEAN])
    if order == "auto":
        usable[:, :, 0] &= ~usable[:, :, 1].any(axis=1, keepdims=True)
    else:
        usable[:, :, 1 - ORDERS.index(order)] = False
    shape_variance = variance + 2.0 * table[..., DIFFERENCE_VARIANCE] * density
    risk = np.where(usable, bias**2 + shape_variance, np.inf)
    radius, kind = np.divmod(risk.reshape(len(risk), -1).argmin(axis=1), 2)
    at = np.arange(len(table))
    none = ~np.isfinite(risk[at, radius, kind])
    if neighbours is not None:
        even = _evened(np.where(none, np.nan, radius), neighbours)
        radius = np.where(none | ~usable[at, even, kind], radius, even)
    error = np.sqrt(bias[at, radius, kind] ** 2 + variance[at, radius, kind])
    return Choice(np.where(none, -1, radius), np.where(none, -1, kind), np.where(none, np.nan, error))


def predicted_errors(table: Floats, radii_nm: Floats, density: Floats) -> tuple[Floats, Floats]:
    """Bias of the shape in 1/nm and variance of H in 1/nm², both (n, radii, orders), of a jet table.

    The bias of order 4 goes with the square of how far the orders disagree, less what noise explains, and
    is never more than that; once seen at one radius it is held for all larger ones. That of order 2 is
    their disagreement, or that of its series on a sphere.
    """
    shape = table[..., [MEAN, DIFFERENCE, TWIST]]
    noise = (table[:, :, 1, MEAN_VARIANCE] + 2.0 * table[:, :, 1, DIFFERENCE_VARIANCE]) * density[:, 1]
    size = np.linalg.norm(shape, axis=-1)
    apart = np.linalg.norm(shape[:, :, 1] - shape[:, :, 0], axis=-1) ** 2
    apart = np.maximum(apart - noise, 0.0)
    low = np.fmax(0.1 * (radii_nm * size[:, :, 0]) ** 2 * size[:, :, 0], np.sqrt(apart))
    whole = size[:, :, 1] + FLAT_PER_NM + BIAS_FACTOR * np.sqrt(apart)
    high = np.fmax.accumulate(BIAS_FACTOR * apart / whole, axis=1)
    return np.stack([low, high], axis=-1), table[..., MEAN_VARIANCE] * density


def _evened(index: Floats, neighbours: csr_array) -> Ints:
    """Indices (n,) after two rounds of means over each vertex and its neighbours; NaN has no say."""
    total, count = np.nan_to_num(index), np.isfinite(index).astype(float)
    for _ in range(EVENING_ROUNDS):
        total, count = total + neighbours @ total, count + neighbours @ count
    return np.rint(total / np.maximum(count, 1.0)).astype(np.int64)


def stable_choice(
    mean_curvature: Floats, tau_rel: float, tau_abs_per_nm: float, epsilon_per_nm: float
) -> tuple[Ints, Floats]:
    """The published rule on H (n, radii): the index of the radius (-1: none) and the change of H to the next.

    The smallest radius rᵢ at which |H(rᵢ₊₁) − H(rᵢ)| is both ≤ τ_rel (|H(rᵢ₊₁)| + |H(rᵢ)| + ε) and ≤ τ_abs;
    else the largest radius with a finite estimate.
    """
    finite = np.isfinite(mean_curvature)
    change = np.abs(np.diff(mean_curvature, axis=1))
    size = np.abs(mean_curvature)
    both = size[:, :-1] + size[:, 1:] + epsilon_per_nm
    steady = (change <= tau_rel * both) & (change <= tau_abs_per_nm)
    largest = np.where(finite.any(axis=1), finite.shape[1] - 1 - finite[:, ::-1].argmax(axis=1), -1)
    chosen = np.where(steady.any(axis=1), _first_true(steady), largest)
    if change.shape[1] == 0:
        return chosen, np.full(len(chosen), np.nan)
    return chosen, change[np.arange(len(chosen)), np.clip(chosen, 0, change.shape[1] - 1)]


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


def _curvature_of(mesh: SurfaceMesh, settings: CurvatureSettings, progress: Progress) -> dict[str, NDArray]:
    fans = triangle_fans(mesh.vertices, mesh.faces)
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
    weights = interpolation(few, mesh.vertices, spacing_nm, known)
    return _consistent(interpolated(found, weights, few, normals, known), inner)


def _consistent(found: dict[str, NDArray], inner: Mask) -> dict[str, NDArray]:
    """Interpolated arrays with K and the shape of the k1 and k2 there, and none on the boundary."""
    k1, k2 = found["k1_per_nm"], found["k2_per_nm"]
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
    inner = np.flatnonzero(wanted)

    def table_of(sources: Ints) -> Floats:
        return jet_table(
            sources, radii_nm, ORDERS, vertices, normals, areas_nm2, fans,
            coordinates=settings.coordinates, neighbours_per_term=settings.neighbours_per_term,
        ).astype(np.float32)  # fmt: skip

    found = _empty_results(len(vertices))
    for begin in range(0, len(inner), BLOCK):
        block = inner[begin : begin + BLOCK]
        parts = []
        for part in range(0, len(block), PORTION):
            parts.append(table_of(block[part : part + PORTION]))
            progress(min(begin + part + PORTION, len(inner)), len(inner))
        table = np.concatenate(parts)
        choice = _choose(table, radii_nm, _neighbours_within(block, fans), settings)
        for name, values in _results(table, choice, radii_nm).items():
            found[name][block] = values
    return found


def _neighbours_within(block: Ints, fans: Fans) -> csr_array:
    """Which vertices of a block (n,) share an edge: (n, n) of ones."""
    count = len(fans.start) - 1
    ones = np.ones(len(fans.corner))
    neighbours = csr_array((ones, fans.corner[:, 0], fans.start), shape=(count, count))
    return csr_array(neighbours[block][:, block])


def _choose(table: Floats, radii_nm: Floats, neighbours: csr_array, settings: CurvatureSettings) -> Choice:
    if settings.scale == "balanced":
        step = max(1, len(table) // NOISE_SAMPLE)
        density = NOISE_UNSEEN * noise_density(table[::step], radii_nm)
        return balanced_choice(table, radii_nm, density, settings.order, neighbours)
    kind = ORDERS.index(4 if settings.order == "auto" else settings.order)
    radius, change = stable_choice(
        table[:, :, kind, MEAN], settings.tau_rel, settings.tau_abs_per_nm, settings.epsilon_per_nm
    )
    return Choice(radius, np.where(radius < 0, -1, kind), change)


def _empty_results(count: int) -> dict[str, NDArray]:
    numbers = ["mean_curvature_per_nm", "gaussian_curvature_per_nm2", "k1_per_nm", "k2_per_nm"]
    numbers += ["shape_index", "curvedness_per_nm"]
    found: dict[str, NDArray] = {name: np.full(count, np.nan) for name in numbers}
    found["k1_direction"] = np.full((count, 3), np.nan)
    found["curvature_error_per_nm"] = np.full(count, np.nan)
    found["curvature_radius_nm"] = np.full(count, np.nan)
    found["curvature_confidence"] = np.zeros(count)
    return found


def _results(table: Floats, choice: Choice, radii_nm: Floats) -> dict[str, NDArray]:
    """The result arrays of one block of vertices."""
    fit = table[np.arange(len(table)), choice.radius, choice.order]
    fit[choice.radius < 0] = np.nan
    mean = fit[:, MEAN]
    half = np.hypot(fit[:, DIFFERENCE], fit[:, TWIST])
    order = np.array(ORDERS)[choice.order]
    terms = (order + 1) * (order + 2) / 2
    shape_index, curvedness = shape_of(mean + half, mean - half)
    return {
        "mean_curvature_per_nm": mean,
        "gaussian_curvature_per_nm2": mean**2 - half**2,
        "k1_per_nm": mean + half,
        "k2_per_nm": mean - half,
        "shape_index": shape_index,
        "curvedness_per_nm": curvedness,
        "k1_direction": fit[:, K1_X : K1_Z + 1],
        "curvature_error_per_nm": choice.error_per_nm,
        "curvature_radius_nm": np.where(choice.radius < 0, np.nan, radii_nm[choice.radius]),
        "curvature_confidence": confidence(
            np.hypot(mean, half), choice.error_per_nm, fit[:, OFFSET], fit[:, COUNT] / terms
        ),
    }


def _first_true(mask: Mask) -> Ints:
    """Column (n,) of the first True in each row; 0 where there is none or no column."""
    return mask.argmax(axis=1) if mask.shape[1] else np.zeros(len(mask), dtype=np.int64)


def _median_over_sources(values: Floats) -> Floats:
    """Medians over the finite values of each column; NaN where there are none."""
    return np.array([np.median(v[np.isfinite(v)]) if np.isfinite(v).any() else np.nan for v in values.T])


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
