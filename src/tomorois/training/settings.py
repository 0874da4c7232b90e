"""How a network is trained, as settings; no torch needed."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tomocore.settings import Settings
from tomorois.annotation.settings import AnnotationSettings
from tomorois.network.msdnet.config import MSDNetConfig
from tomorois.network.settings import CHANNELS, IntensitySettings, MembraneSettings

NOT_PART_OF_A_TRAINING = {"checkpoint_seconds", "device"}
"""Settings that may change when a training goes on: how it is computed, not what comes of it."""


class AugmentSettings(Settings):
    """How patches are varied; z never changes places with x or y, because the wedge is not isotropic.

    Quarter turns about z do turn the tilt axis, but on tomograms not seen they gained 0.015 of Dice where
    membranes are given and 0.03 where not (160 processor seconds, one training each).
    """

    flips: bool = Field(
        True,
        description="Mirror along z, y and x, each half of the time (y and x together turn by 180° about z).",
    )
    quarter_turns: bool = Field(
        True, description="Turn by 0, 90, 180 or 270° about z (by 180° alone where patches are not square)."
    )
    contrast_spread: float = Field(
        0.15, ge=0, le=1, description="Standard deviation of the logarithm of the contrast factor."
    )
    brightness_spread: float = Field(
        0.1,
        ge=0,
        le=2,
        description="Standard deviation of the added offset, in standard deviations of a tomogram.",
    )
    noise_share: float = Field(0.5, ge=0, le=1, description="Share of patches that get more white noise.")
    noise_highest: float = Field(
        0.3, ge=0, le=5, description="Most noise added, in standard deviations of a tomogram."
    )
    blur_share: float = Field(0.2, ge=0, le=1, description="Share of patches that are blurred.")
    blur_highest_voxels: float = Field(
        0.7,
        ge=0,
        le=5,
        description="Widest Gaussian blur (standard deviation), in voxels of the binned tomogram.",
    )
    wedge_share: float = Field(
        0.0, ge=0, le=1, description="Share of patches whose missing wedge is cut out of them once more."
    )
    wedge_lowest_tilt_deg: float = Field(
        45.0,
        ge=10,
        le=89,
        description="Smallest highest tilt of the wedge that is cut, in degrees (largest: 60).",
    )
    tilt_axis: Literal["x", "y"] = Field("y", description="The axis about which the specimen was tilted.")


class ValidationSettings(Settings):
    """How the training is watched on tomograms that it does not learn from."""

    held_out_fraction: float = Field(
        0.12,
        ge=0,
        lt=1,
        description="Share of the tomograms (one at least, of three or more) held out where none is named.",
    )
    checks: int = Field(10, ge=1, description="Validations over the whole training, evenly spaced.")
    patience: int = Field(
        0, ge=0, description="Stop after so many validations without a better Dice (0: never stop early)."
    )
    most_voxels: int = Field(
        12_000_000, ge=10_000, description="Most voxels (after binning) that one validation looks at."
    )
    block_voxels: int = Field(96, ge=16, description="Edge of the blocks it looks at, in binned voxels.")
    block_halo_voxels: int = Field(16, ge=0, description="Context around each block, in binned voxels.")


class PenaltySettings(Settings):
    """What becomes of regions that a user rejected: background that weighs more and is seen on purpose."""

    weight: float = Field(
        4.0, ge=1, le=100, description="Weight of a rejected voxel against other background."
    )
    fraction: float = Field(0.15, ge=0, le=0.5, description="Share of patches centred on rejected regions.")


class TrainSettings(Settings):
    """How a network is trained."""

    # What these defaults rest on, and what others reach from the same work: docs/tomorois/learning.md.
    bin_factor: int = Field(3, ge=1, le=16, description="Voxels per edge averaged into one before training.")
    patch_voxels: int = Field(
        32,
        ge=8,
        le=512,
        description="Edge of the patches, in binned voxels; multiples of 16 compute fastest.",
    )
    batch: int = Field(1, ge=1, le=64, description="Patches per step.")
    steps: int | None = Field(
        None, ge=1, description="Steps of training; unset: as many as fit into the minutes."
    )
    minutes: float = Field(
        3.0, gt=0, description="Minutes of training, validation included, where no steps are set."
    )
    learning_rate: float = Field(
        1e-2, gt=0, le=1, description="Highest learning rate (Adam), reached after warm-up."
    )
    fine_tune_rate: float = Field(
        0.2, gt=0, le=1, description="Factor on the learning rate when a model is trained further."
    )
    warmup_steps: int = Field(20, ge=0, description="Steps over which the learning rate rises from zero.")
    gradient_clip: float = Field(1.0, gt=0, description="Longest gradient (Euclidean norm) that is followed.")
    class_weight: float = Field(
        2.0, gt=0, le=100, description="Weight of an ROI voxel against a background voxel."
    )
    dice_weight: float = Field(
        0.0, ge=0, le=10, description="Weight of the soft Dice loss beside cross-entropy."
    )
    average_decay: float = Field(
        0.998,
        ge=0,
        lt=1,
        description="Decay per step of the running average of the weights, which is what is kept.",
    )
    roi_fraction: float = Field(0.5, ge=0, le=1, description="Share of patches centred on ROIs.")
    checkpoint_seconds: float = Field(
        30.0, ge=0, description="Seconds between checkpoints, from which --resume goes on."
    )
    seed: int = Field(0, ge=0, description="Number that all random choices follow from.")
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="Where to compute; auto takes a GPU if there is one."
    )
    network: MSDNetConfig = Field(default=MSDNetConfig(), description="The network.")
    intensity: IntensitySettings = Field(default=IntensitySettings(), description="Grey values.")
    membranes: MembraneSettings = Field(default=MembraneSettings(), description="Membranes beside them.")
    annotation: AnnotationSettings = Field(default=AnnotationSettings(), description="Labels.")
    augmentation: AugmentSettings = Field(default=AugmentSettings(), description="Variation of the patches.")
    validation: ValidationSettings = Field(default=ValidationSettings(), description="Validation.")
    penalty: PenaltySettings = Field(default=PenaltySettings(), description="Rejected regions.")


def with_membranes(settings: TrainSettings) -> TrainSettings:
    """The settings for a network that sees membranes beside the tomogram."""
    network = settings.network.model_copy(update={"input_channels": 1 + CHANNELS})
    return settings.model_copy(update={"network": network})
