"""The tables of a run: a row a surface, a row a pair of surfaces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from surfora.geometry.arrays import Floats
from surfora.geometry.facts import SurfaceFacts
from surfora.geometry.pieces import component_count
from surfora.geometry.surface import (
    SurfaceMesh,
    boundary_edges,
    enclosed_volume_nm3,
    face_areas_nm2,
    vertex_areas_nm2,
)
from surfora.isosurface.roi_border import CUT
from surfora.measures.density.density import density_summary
from surfora.measures.statistics import weighted_mean, weighted_quantiles, weighted_standard_deviation
from surfora.measures.valid_region import depth_summary
from surfora.measures.wedge import area_shares, areas_with_evidence_nm2
from surfora.meshing.loops import boundary_loops
from surfora.reporting.columns import COLUMNS
from surfora.reporting.contact_columns import CURVE_COLUMNS, OBJECT_COLUMNS
from surfora.reporting.interval_columns import INTERVAL_COLUMNS
from tomocore.columns import NAMES, Column
from tomocore.contract import InputError
from tomocore.files import written_beside
from tomocore.side_files import numbers_of, read_frame, require_columns

FILE_PARTS = ("name", "kind", "target", "target_kind")
"""Columns that names of files are made of."""
TEXTS = ("kind", "target_kind", "orientation_rule", "provenance", "table", "measure")
NUMBERS = frozenset(
    column.key for column in (*COLUMNS, *OBJECT_COLUMNS, *CURVE_COLUMNS, *INTERVAL_COLUMNS)
) - {*NAMES, *TEXTS}
"""Columns of all tables that hold numbers, or true and false."""
REQUIRED = {
    "surfaces.csv": ("name", "kind", "label", "roi", "source", "area_nm2"),
    "distances.csv": (
        *("name", "kind", "label", "roi", "target", "target_kind", "target_label", "mean_nm", "sd_nm"),
        *("min_nm", "area_measured_nm2", "contact_distance_nm", "contact_area_nm2"),
        *("contact_mean_nm", "contact_sd_nm"),
    ),
    "contacts.csv": (
        *("contact", "name", "kind", "label", "roi", "target", "target_kind", "target_label", "cut_by"),
        *("contact_area_nm2", "target_contact_area_nm2", "gap_mean_nm", "gap_sd_nm", "gap_min_nm"),
        *("length_nm", "width_nm"),
    ),
    "contact_curve.csv": (
        *("name", "kind", "label", "roi", "target", "target_kind", "target_label"),
        *("contact_distance_nm", "contact_area_nm2", "target_contact_area_nm2", "is_chosen"),
    ),
    "intervals.csv": (
        *("table", "measure", "name", "kind", "label", "roi", "target", "target_kind", "target_label"),
        *("contact", "value", "low", "high", "spread", "repeats"),
    ),
}
"""Columns without which no report can be made, by the table's file."""
ONCE = {"surfaces.csv": ("name", "kind"), "distances.csv": ("name", "kind", "target", "target_kind")}
"""What names a row, by the table's file, so that no two rows have all of it (and the tomogram) in common."""
REMEDY = "run again with --overwrite"


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
        | density_summary(mesh)
        | _evidence_columns(mesh)
        | depth_summary(mesh)
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


def write_table(
    path: Path, rows: Sequence[Mapping[str, Any]], columns: Sequence[Column] = COLUMNS
) -> pd.DataFrame:
    """Write rows as CSV, columns in the order of ``columns``, others after them; return the table.

    A table without rows has all ``columns``, so that what reads it finds those that it asks for.
    """
    table = pd.DataFrame(list(rows), columns=None if rows else [column.key for column in columns])
    order = [column.key for column in columns if column.key in table]
    table = table[order + [column for column in table if column not in order]]
    with written_beside(path) as beside:
        table.to_csv(beside, index=False, float_format="%.6g")
    return table


def read_table(path: Path) -> pd.DataFrame:
    """A table written by `write_table`, or an empty one where there is none; an absent name is "".

    One without rows has no columns either, so that readers ask for columns alone.
    Raises InputError where it is no such table: another encoding, lines of other lengths, a column that
    reports need is missing, or text in a column of numbers.
    """
    if not path.is_file() or path.stat().st_size < 2:
        return pd.DataFrame()
    # A label may be called NA or null: only what is empty is missing.
    names = dict.fromkeys((*NAMES, *TEXTS), str)
    table = read_frame(
        path, lambda file: pd.read_csv(file, dtype=names, keep_default_na=False, na_values=[""]), REMEDY
    )
    if table.empty:
        return pd.DataFrame()
    require_columns(path, list(table.columns), REQUIRED.get(path.name, ()), REMEDY)
    table = with_numbers(path, table)
    table = table.fillna({name: "" for name in (*NAMES, *TEXTS) if name in table})
    _require_once(path, table)
    for part in FILE_PARTS:
        if part in table and table[part].str.contains(r"[/\\\x00]").any():
            raise InputError(f"{path}: a {part} in it leads to another folder; {REMEDY}")
    return table


def _require_once(path: Path, table: pd.DataFrame) -> None:
    """InputError where two rows are of one surface or way, which would count it twice."""
    key = [name for name in ("tomogram", *ONCE.get(path.name, ())) if name in table]
    if path.name in ONCE and table.duplicated(key).any():
        row = int(np.flatnonzero(table.duplicated(key))[0]) + 1
        raise InputError(f"{path}: row {row} is of the same surface as one before; {REMEDY}")


def with_numbers(path: Path, table: pd.DataFrame) -> pd.DataFrame:
    """A table whose `NUMBERS` are numbers, or true and false; InputError where one of them holds text."""
    return table.assign(**{key: _numbers(path, table[key]) for key in NUMBERS if key in table})


def _numbers(path: Path, column: pd.Series[Any]) -> pd.Series[Any]:
    """A column of numbers or of true and false; InputError where it holds text."""
    if column.dtype.kind in "iufb":
        return column
    found = numbers_of(column.replace({"True": 1, "False": 0}))
    wrong = found.isna() & column.notna()
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0]) + 1
        raise InputError(f"{path}: row {row} of {column.name} is no number; {REMEDY}")
    return column if set(column.dropna().map(type)) <= {bool} else found.astype(np.float64)
