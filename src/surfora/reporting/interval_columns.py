"""intervals.csv: which values take an interval, and what its columns are called."""

from __future__ import annotations

from typing import Any

import numpy as np

from surfora.reporting.columns import COLUMNS
from surfora.reporting.contact_columns import OBJECT_COLUMNS
from tomocore.columns import Column, column_of

FILE = "intervals.csv"
TABLES = ("surfaces", "distances", "contacts")
"""The tables whose values take intervals, as `surfora.batch.RunOutcome` calls them."""

KEYS = ("name", "kind", "label", "target", "target_kind", "target_label", "roi", "contact")
CERTAIN = (
    *KEYS,
    "source",
    "provenance",
    "voxel_size_nm",
    "contact_distance_nm",
    "filled",
    "removed_pieces",
    "removed_share",
    "vertices",
    "triangles",
    "is_closed",
    "components",
    "boundary_loops",
    "patches",
    "target_patches",
    "curvature_area_share",
    "cut_by",
    "orientation_rule",
    "orientation_confidence",
    "curvature_confidence_mean",
    "curvature_scale_median_nm",
    "roughness_floor_nm",
    *(f"centre_{axis}_nm" for axis in "xyz"),
)
"""Columns without an interval: who a row is of, what was chosen, what counts parts of a mesh."""

SIGNED = (
    "mean_curvature",
    "gaussian_curvature",
    "gap_difference",
    "density_middle",
    "density_contrast",
    "asymmetry",
    "valid_region_depth",
)

INTERVAL_COLUMNS = (
    Column("table", "table", "", "the table that has the value"),
    *(column_of(key, OBJECT_COLUMNS) for key in KEYS),
    Column("measure", "measure", "", "the column of that table"),
    Column("value", "value", "", "the value in that table"),
    Column("low", "95 % from", "", "lower end of the 95 % interval"),
    Column("high", "to", "", "upper end of the 95 % interval"),
    Column("spread", "spread", "", "standard deviation of the repeats", True),
    Column("repeats", "repeats", "", "repeats that had a value", True),
)


def takes_interval(column: str, value: Any) -> bool:
    """Whether a value of a table is a measured number."""
    return (
        column not in CERTAIN and isinstance(value, float | int | np.floating) and not isinstance(value, bool)
    )


def lowest(column: str) -> float:
    """What a quantity cannot fall below: 0 but for those that have a sign."""
    return -np.inf if any(part in column for part in SIGNED) else 0.0


def measure_column(table: str, key: str) -> Column:
    """What a measure is called, with its unit."""
    return column_of(key, OBJECT_COLUMNS if table == "contacts" else COLUMNS)
