"""Settings of the ranking and of the learning curve; no torch needed."""

from __future__ import annotations

from pydantic import Field

from tomocore.settings import Settings
from tomorois.prediction.doubt import POSSIBLE


class LearningCurveSettings(Settings):
    """How many ROIs to train on, and how often."""

    rois: tuple[int, ...] | None = Field(
        None, description="Numbers of annotated ROIs to train on; unset: a quarter, half and all there are."
    )
    repeats: int = Field(
        1, ge=1, le=50, description="Trainings for each number, on other ROIs and from another seed."
    )


class RankSettings(Settings):
    """What counts as a place worth a look, and as near the threshold."""

    possible: float = Field(
        POSSIBLE,
        gt=0,
        lt=0.5,
        description="Shifted confidence (0.5 is the threshold) from which a voxel might belong to an ROI.",
    )
    near: tuple[float, float] = Field(
        (0.25, 0.75), description="Shifted confidences between which a voxel counts as near the threshold."
    )
    below: float = Field(
        0.25,
        gt=0,
        lt=0.5,
        description="Shifted confidence that a place below the threshold must reach to be listed.",
    )
    min_volume_nm3: float = Field(
        2000.0, ge=0, description="Places below the threshold are listed from this volume in nm³."
    )
