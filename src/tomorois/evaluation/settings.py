"""How predictions are scored, as settings."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from tomocore.settings import Settings


class MatchSettings(Settings):
    """When a predicted ROI counts as a true one found."""

    min_iou: float = Field(
        0.25,
        gt=0,
        le=1,
        description="Least intersection over union (0 to 1) of a predicted ROI and its true one.",
    )
    edge: Literal["count", "forgive"] = Field(
        "count",
        description="ROIs cut by the tomogram's edge: count them like all others, or forgive their misses "
        "(neither false positives nor false negatives; found ones count).",
    )
    edge_nm: float = Field(
        0.0, ge=0, description="An ROI within this distance in nm of the tomogram's edge is cut by it."
    )
    min_flatness: float = Field(
        0.3,
        ge=0,
        lt=1,
        description="An ROI has an orientation if its thinnest extent is less than the next by this share.",
    )


class EvaluateSettings(Settings):
    """How predictions are scored."""

    match: MatchSettings = Field(
        MatchSettings(), description="When a predicted ROI counts as a true one found."
    )
    thresholds: tuple[float, ...] = Field(
        (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9),
        description="Confidences (between 0 and 1) of the precision-recall curve.",
    )
    tilt_edges_deg: tuple[float, ...] = Field(
        (0.0, 30.0, 60.0, 90.0), description="Limits in degrees of the bins of recall by orientation."
    )
    ignore_value: int | None = Field(
        255, description="Label in true label volumes whose voxels are not judged, as in training."
    )
    resamples: int = Field(2000, ge=100, description="Bootstrap draws of tomograms for the intervals.")
    interval: float = Field(0.95, gt=0, lt=1, description="Probability that an interval is to cover.")
    seed: int = Field(0, ge=0, description="Seed of the bootstrap.")

    @field_validator("thresholds")
    @classmethod
    def _between_zero_and_one(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        if not all(0 < value < 1 for value in values):
            raise ValueError("thresholds lie between 0 and 1")
        return tuple(sorted(values))

    @field_validator("tilt_edges_deg")
    @classmethod
    def _ascending(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        if len(values) < 2 or list(values) != sorted(set(values)):
            raise ValueError("limits of bins ascend, from 0 to 90 degrees")
        return values
