"""The shape of the mixed-scale dense network, as settings; no torch needed."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from tomocore.settings import Settings

MOST_DILATED = 1000


class MSDNetConfig(Settings):
    """The shape of the network; with the weights it is the whole model."""

    layers: int = Field(default=20, ge=1, le=500, description="Number of dilated layers, one channel each.")
    dilations: tuple[int, ...] = Field(
        default=(1, 2, 4, 8), description="Dilations in voxels, cycled through by the layers."
    )
    input_channels: int = Field(
        default=1, ge=1, le=64, description="Channels of the input: the tomogram, then any extra maps."
    )
    padding: Literal["zero", "reflect"] = Field(
        default="zero", description="What layers see beyond the volume: zeros or the mirrored volume."
    )
    output_prior: float = Field(
        default=0.05, gt=0, lt=1, description="Confidence that the untrained network gives every voxel."
    )

    slab_planes: Literal[1, 3, 5, 7, 9, 11, 13, 15] | None = Field(
        default=None,
        description="Neighbouring planes that a 2.5D network sees as channels, odd, 1 to 15; unset: 3D.",
    )

    @field_validator("dilations")
    @classmethod
    def _at_least_one(cls, dilations: tuple[int, ...]) -> tuple[int, ...]:
        if not dilations or min(dilations) < 1 or max(dilations) > MOST_DILATED:
            raise ValueError(f"give at least one dilation, each 1 to {MOST_DILATED} voxels")
        return dilations

    @property
    def layer_dilations(self) -> tuple[int, ...]:
        """The dilation of every layer."""
        return tuple(self.dilations[i % len(self.dilations)] for i in range(self.layers))

    @property
    def halo(self) -> int:
        """Voxels of context that one output voxel depends on, a side: the sum of all dilations."""
        return sum(self.layer_dilations)

    @property
    def halo_zyx(self) -> tuple[int, int, int]:
        """`halo` by axis: a slab reaches less far along z."""
        along_z = self.halo if self.slab_planes is None else self.slab_planes // 2
        return along_z, self.halo, self.halo

    @property
    def kernel_shape(self) -> tuple[int, int, int]:
        """Taps along z, y, x of every kernel."""
        return 3 if self.slab_planes is None else 1, 3, 3

    @property
    def stacked_channels(self) -> int:
        """Channels that the first layer sees: the input's, once for every plane of a slab."""
        return self.input_channels * (self.slab_planes or 1)

    @property
    def channels(self) -> int:
        """Channels that the output layer sees: the first layer's and one of every layer."""
        return self.stacked_channels + self.layers
