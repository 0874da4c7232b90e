"""How grey values and membranes become network input, as settings."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tomocore.settings import Settings

Polarity = Literal["dark", "bright"]


class IntensitySettings(Settings):
    """How grey values become network input."""

    polarity: Polarity = Field(
        default="dark",
        description="How membranes look in the tomogram: dark (raw cryo-ET) or bright (inverted).",
    )
    clip_sd: float = Field(
        default=6.0, gt=0, description="Normalised values are clipped to plus or minus this many robust SDs."
    )


CHANNELS = 2  # the map and the distance


class MembraneSettings(Settings):
    """How membranes given beside the tomogram become network input."""

    threshold: float = Field(
        0.5, gt=0, lt=1, description="Value from which a voxel of a map from 0 to 1 counts as membrane."
    )
    reach_nm: float = Field(
        30.0, gt=0, le=200, description="Distances to the nearest membrane are told up to here, in nm."
    )
