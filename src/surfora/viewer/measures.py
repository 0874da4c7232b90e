"""What surfaces in a browser are coloured by: the arrays of their meshes, in words, with units and limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from numpy.typing import NDArray

from surfora.geometry.arrays import Floats
from surfora.geometry.surface import SurfaceMesh
from tomocore.columns import Column, column_of

NEAREST = "distance_to_nearest_nm"
DISTANCE = "distance_to_"
ARRAYS = (
    Column(NEAREST, "gap to the nearest other membrane measured", "nm"),
    Column("mean_curvature_per_nm", "mean curvature H", "1/nm"),
    Column("gaussian_curvature_per_nm2", "Gaussian curvature K", "1/nm²"),
    Column("k1_per_nm", "larger principal curvature", "1/nm"),
    Column("k2_per_nm", "smaller principal curvature", "1/nm"),
    Column("shape_index", "shape index, −1 cup to 1 cap"),
    Column("curvedness_per_nm", "curvedness", "1/nm"),
    Column("curvature_error_per_nm", "error of the curvature", "1/nm"),
    Column("curvature_radius_nm", "scale of the curvature", "nm"),
    Column("curvature_confidence", "confidence of the curvature, 0 to 1"),
    Column("bilayer_thickness_nm", "thickness between leaflets", "nm"),
    Column("thickness_nm", "thickness of the mask", "nm"),
    Column("roughness_nm", "roughness (RMS)", "nm"),
    Column("boundary_distance_nm", "distance to the open border", "nm"),
    Column("wedge_angle_deg", "angle to the missing wedge", "°"),
    Column("contact_gap_nm", "gap within contacts", "nm"),
)
"""The arrays that have words of their own; any other is called by its key."""
LEFT_OUT = ("contact_id", "component", "rim", "spacing_nm", "roughness_floor_nm", "vertex_area_nm2")
"""What tells no place from another, or is drawn as contacts."""
SIGNED = ("mean_curvature", "gaussian_curvature", "k1_", "k2_", "shape_index", "wedge_angle")
MOST_TARGETS = 6
"""Arrays of distances, each to another surface, that are offered one by one."""
SHOWN_SHARE = 0.98


@dataclass(frozen=True)
class Measure:
    """An array with its words: codes run from ``low`` to ``high``, and so do colours at first."""

    column: Column
    low: float
    high: float
    colours: str

    def row(self) -> dict[str, Any]:
        """What the browser is told of it."""
        told = {"key": self.column.key, "title": self.column.heading, "unit": self.column.unit}
        return {**told, "low": self.low, "high": self.high, "colours": self.colours}


def with_nearest(mesh: SurfaceMesh) -> SurfaceMesh:
    """The mesh with the distance (n,) to whichever of its partners is nearest, where it has partners."""
    own = [values for name, values in mesh.data.items() if _is_distance(name)]
    return mesh.with_data(**{NEAREST: np.fmin.reduce(own)}) if own else mesh


def measures_of(meshes: Sequence[SurfaceMesh]) -> list[Measure]:
    """What the meshes can be coloured by, with limits over all of them; first what has words of its own."""
    found: dict[str, list[Floats]] = {}
    for mesh in meshes:
        for name, values in mesh.data.items():
            if values.ndim == 1 and name not in LEFT_OUT and "along_normal" not in name:
                found.setdefault(name, []).append(values)
    targets = [name for name in found if _is_distance(name)]
    if len(targets) > MOST_TARGETS or len(targets) == 1:
        found = {name: parts for name, parts in found.items() if name not in targets}
    order = {column.key: k for k, column in enumerate(ARRAYS)}
    limited = ((name, _limits(name, np.concatenate(found[name]))) for name in found)
    known = [Measure(array_column(name), *limits, _colours(name)) for name, limits in limited if limits]
    return sorted(known, key=lambda measure: order.get(measure.column.key, len(order)))


def colour_table(name: str) -> NDArray[np.uint8]:
    """The 256 colours (256, 3) of a colour map of matplotlib; the colour-blind can read those used."""
    return np.rint(matplotlib.colormaps[name](np.arange(256))[:, :3] * 255).astype(np.uint8)


def _is_distance(name: str) -> bool:
    return name.startswith(DISTANCE) and name != NEAREST


def array_column(name: str) -> Column:
    """What an array of a mesh is called, with its unit; one without words of its own by its key."""
    if _is_distance(name):
        return Column(name, f"gap to {name.removeprefix(DISTANCE).removesuffix('_nm')}", "nm")
    known = column_of(name, ARRAYS)
    return known if known in ARRAYS else Column(name, name)


def _colours(name: str) -> str:
    if name.startswith(SIGNED):
        return "RdBu_r"
    return "viridis_r" if name.startswith(DISTANCE) or name == "contact_gap_nm" else "viridis"


def _limits(name: str, values: NDArray[Any]) -> tuple[float, float] | None:
    """The values that colours run between, which leave out the outermost ones; None where all are alike."""
    finite = values[np.isfinite(values)].astype(np.float64)
    if finite.size == 0 or finite.min() == finite.max():
        return None
    rest = (1 - SHOWN_SHARE) / 2
    low, high = (float(end) for end in np.quantile(finite, (rest, 1 - rest)))
    if name.startswith(DISTANCE):
        high = float(np.quantile(finite, 0.9))
    if name.startswith(SIGNED):
        high = max(abs(low), abs(high))
        low = -high
    if high <= low:
        low, high = float(finite.min()), float(finite.max())
    return low, high
