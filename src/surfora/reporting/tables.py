"""The tables of a run: a row a surface, a row a pair of surfaces; what every column means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from surfora.geometry.arrays import Floats
from surfora.geometry.facts import SurfaceFacts
from surfora.geometry.surface import (
    SurfaceMesh,
    boundary_edges,
    component_count,
    enclosed_volume_nm3,
    face_areas_nm2,
    vertex_areas_nm2,
)
from surfora.isosurface.roi_border import CUT
from surfora.measures.statistics import weighted_mean, weighted_quantiles, weighted_standard_deviation
from surfora.measures.wedge import area_shares, areas_with_evidence_nm2
from surfora.meshing.loops import boundary_loops
from tomocore.files import written_beside

COLUMN_MEANINGS = {
    "name": "the surface; also the start of its files' names",
    "kind": "medial: middle of the membrane; isosurface: its whole boundary; inner, outer: leaflets",
    "label": "label of the membrane in a labelled mask",
    "roi": "number of the region of interest it lies in",
    "source": "mask file",
    "area_nm2": "area of the triangles",
    "volume_nm3": "volume inside, for closed surfaces only",
    "is_closed": "whether the surface has no open border",
    "components": "connected pieces",
    "boundary_loops": "closed chains of border edges: outlines and holes",
    "boundary_length_nm": "length of all borders",
    "cut_length_nm": "of it, where the ROI cuts a membrane that goes on",
    "vertices": "points of the mesh",
    "triangles": "triangles of the mesh",
    "thickness_nm": "thickness of the mask, from its distance transform",
    "bilayer_thickness_median_nm": "median over area of the distance straight through to the other leaflet",
    "curvature_area_share": "share of the area with a curvature (not at the border)",
    "mean_curvature_median_per_nm": "median over area of H; H > 0 bends outward along the normal",
    "mean_curvature_mean_per_nm": "mean over area of H",
    "mean_curvature_sd_per_nm": "standard deviation over area of H",
    "gaussian_curvature_median_per_nm2": "median over area of K = k1 k2",
    "radius_of_curvature_median_nm": "median over area of 1 / |H|",
    "curvature_scale_median_nm": "median radius of the neighbourhoods that curvature was fitted in",
    "curvature_confidence_mean": "0 to 1: neighbours, fit and distance to the border, mean over area",
    "roughness_median_nm": "median over area of the height left above the cut-off wavelength (RMS)",
    "roughness_floor_nm": "roughness that voxels alone give to a smooth membrane; less cannot be seen",
    "measured_area_share": "share of the area that the tilt series reached and voxels support",
    "extrapolated_area_share": "share of the area that faces into the missing wedge: continued, not seen",
    "unsupported_area_share": "share of the area with no voxel of the mask near it",
    "area_with_evidence_nm2": "area that was measured: neither in the wedge nor unsupported",
    "mean_curvature_median_with_evidence_per_nm": "median of H over that area alone",
    "radius_of_curvature_median_with_evidence_nm": "median of 1 / |H| over that area alone",
    "orientation_rule": "what decided which side the normals point to",
    "orientation_confidence": "0 (a toss-up) to 1, mean over the points",
    "provenance": "id of the run in run.json",
    "target": "the surface that distances are measured to",
    "target_kind": "medial for the middle; a leaflet is measured to its partner's whole boundary",
    "area_measured_nm2": "area with a distance",
    "mean_nm": "mean over area of the distance to the nearest point of the target",
    "sd_nm": "standard deviation over area of that distance",
    "min_nm": "smallest distance",
    "q05_nm": "5th percentile over area",
    "q25_nm": "lower quartile over area",
    "median_nm": "median over area",
    "q75_nm": "upper quartile over area",
    "q95_nm": "95th percentile over area",
    "max_nm": "largest distance",
    "contact_distance_nm": "a place counts as contact below this distance",
    "contact_area_nm2": "area closer to the target than the contact distance",
    "contact_mean_nm": "mean over the contact's area of the distance",
    "contact_sd_nm": "standard deviation over the contact's area of the distance",
    "mean_with_evidence_nm": "mean distance over the area that was measured alone",
    "median_with_evidence_nm": "median distance over the area that was measured alone",
    "contact_area_with_evidence_nm2": "contact area that was measured",
    "seen_share": "share of the area that sees its nearest point, with nothing of its own surface between",
}
"""A sentence for every column of surfaces.csv and distances.csv."""


def surface_row(mesh: SurfaceMesh, facts: SurfaceFacts) -> dict[str, Any]:
    """One row of surfaces.csv: what is known of a surface (``facts``) and what its mesh gives."""
    areas = vertex_areas_nm2(mesh.vertices, mesh.faces)
    closed = mesh.is_closed
    row: dict[str, Any] = {
        **facts.row(),
        "area_nm2": float(face_areas_nm2(mesh.vertices, mesh.faces).sum()),
        "volume_nm3": abs(enclosed_volume_nm3(mesh.vertices, mesh.faces)) if closed else np.nan,
        "is_closed": closed,
        "vertices": len(mesh.vertices),
        "triangles": len(mesh.faces),
    }
    return (
        row
        | _border_columns(mesh)
        | _curvature_columns(mesh.data, areas)
        | _thickness_columns(mesh.data, areas)
        | _evidence_columns(mesh)
    )


def _border_columns(mesh: SurfaceMesh) -> dict[str, Any]:
    borders = boundary_edges(mesh.faces)
    lengths = np.linalg.norm(np.diff(mesh.vertices[borders], axis=1)[:, 0], axis=1)
    columns = {
        "components": component_count(mesh.faces, len(mesh.vertices)),
        "boundary_loops": len(boundary_loops(mesh.faces)),
        "boundary_length_nm": float(lengths.sum()),
    }
    if CUT in mesh.data:
        columns["cut_length_nm"] = float(lengths[mesh.data[CUT].astype(bool)[borders].all(axis=1)].sum())
    return columns


def _curvature_columns(data: Mapping[str, NDArray[Any]], areas: Floats) -> dict[str, float]:
    if "mean_curvature_per_nm" not in data:
        return {}
    mean = data["mean_curvature_per_nm"]
    finite = np.isfinite(mean)
    return {
        "curvature_area_share": float(areas[finite].sum() / max(areas.sum(), np.finfo(float).tiny)),
        "mean_curvature_median_per_nm": _median(mean, areas),
        "mean_curvature_mean_per_nm": weighted_mean(mean, areas),
        "mean_curvature_sd_per_nm": weighted_standard_deviation(mean, areas),
        "gaussian_curvature_median_per_nm2": _median(data["gaussian_curvature_per_nm2"], areas),
        "radius_of_curvature_median_nm": _median(_radius_nm(mean), areas),
        "curvature_scale_median_nm": _median(data["curvature_radius_nm"], areas),
        "curvature_confidence_mean": weighted_mean(data["curvature_confidence"], areas),
    }


def _radius_nm(mean_curvature: NDArray[Any]) -> Floats:
    """Radius of curvature 1 / |H| (n,) in nm; NaN where H is 0 or not known."""
    with np.errstate(divide="ignore"):
        radius = 1.0 / np.abs(mean_curvature)
    return np.where(np.isfinite(radius), radius, np.nan)


def _thickness_columns(data: Mapping[str, NDArray[Any]], areas: Floats) -> dict[str, float]:
    columns = {}
    if "roughness_nm" in data:
        columns["roughness_median_nm"] = _median(data["roughness_nm"], areas)
    if "roughness_floor_nm" in data:
        columns["roughness_floor_nm"] = float(data["roughness_floor_nm"][0])
    if "bilayer_thickness_nm" in data:
        columns["bilayer_thickness_median_nm"] = _median(data["bilayer_thickness_nm"], areas)
    return columns


def _evidence_columns(mesh: SurfaceMesh) -> dict[str, float]:
    """How much of a surface was measured, and its curvature there alone."""
    if "evidence" not in mesh.data:
        return {}
    areas = areas_with_evidence_nm2(mesh)
    columns = {**area_shares(mesh), "area_with_evidence_nm2": float(areas.sum())}
    if "mean_curvature_per_nm" in mesh.data:
        mean = mesh.data["mean_curvature_per_nm"]
        columns["mean_curvature_median_with_evidence_per_nm"] = _median(mean, areas)
        columns["radius_of_curvature_median_with_evidence_nm"] = _median(_radius_nm(mean), areas)
    return columns


def _median(values: NDArray[Any], weights: Floats) -> float:
    return float(weighted_quantiles(values, weights, [0.5])[0])


def write_table(path: Path, rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Write rows as CSV, columns in the order of ``COLUMN_MEANINGS``; return the table."""
    table = pd.DataFrame(list(rows), columns=None if rows else ["name"])
    order = [column for column in COLUMN_MEANINGS if column in table]
    table = table[order + [column for column in table if column not in order]]
    with written_beside(path) as beside:
        table.to_csv(beside, index=False, float_format="%.6g")
    return table


def read_table(path: Path) -> pd.DataFrame:
    """A table written by `write_table`, or an empty one where there is none."""
    if not path.is_file() or path.stat().st_size < 2:
        return pd.DataFrame()
    return pd.read_csv(path, dtype={"label": str, "name": str, "target": str}, keep_default_na=True)
