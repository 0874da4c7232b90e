"""How a network is run on tomograms, as settings; no torch needed."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tomocore.settings import Settings


class PredictSettings(Settings):
    """How a network is run on a tomogram."""

    max_memory_gib: float = Field(
        default=6.0,
        gt=0,
        description="Most memory to use, in GiB; less where less is free. Decides the tiles.",
    )
    polarity: Literal["as trained", "dark", "bright"] = Field(
        default="as trained",
        description="How membranes look in these tomograms: as in training, dark or bright.",
    )
    halo_voxels: int | None = Field(
        default=None,
        ge=0,
        description="Overlap of tiles in network voxels; unset: exact, as far as the network sees.",
    )
    orientations: Literal[1, 2, 4, 8] = Field(
        default=4, description="Mirrored copies whose confidences are averaged: 1, 2, 4 or 8."
    )
