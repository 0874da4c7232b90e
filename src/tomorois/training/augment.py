"""Augmentation: parameters are drawn in one step, applied in another, and can be replayed from a record."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from tomorois.training.settings import AugmentSettings

Floats = NDArray[np.float32]
OTHER_AXIS = {"x": "y", "y": "x"}


@dataclass(frozen=True)
class Augmentation:
    """One drawn variation of a patch; plain numbers, so that it can be written down and replayed."""

    mirrored_zyx: tuple[bool, bool, bool] = (False, False, False)
    quarter_turns: int = 0
    contrast: float = 1.0
    brightness: float = 0.0
    noise: float = 0.0
    noise_seed: int = 0
    blur_voxels: float = 0.0
    highest_tilt_deg: float = 90.0
    tilt_axis: str = "y"

    def record(self) -> dict[str, Any]:
        """The parameters as JSON takes them; ``augmentation_from_record`` is the way back."""
        return asdict(self)


def augmentation_from_record(record: dict[str, Any]) -> Augmentation:
    """The augmentation that a record describes."""
    return Augmentation(**{**record, "mirrored_zyx": tuple(record["mirrored_zyx"])})


def draw_augmentation(
    rng: np.random.Generator, settings: AugmentSettings, square: bool = True
) -> Augmentation:
    """Parameters drawn from the settings' ranges; always the same number of draws, in the same order.

    ``square``: whether patches are as long along y as along x, so that a quarter turn keeps their shape.
    """
    chances = rng.random(6)
    sizes = rng.random(3)
    contrast, brightness = rng.normal(size=2)
    turns, noise_seed = int(rng.integers(4)), int(rng.integers(2**31))
    turns = (turns if square else turns & 2) if settings.quarter_turns else 0
    mirrored = (chances[:3] < 0.5) & settings.flips
    return Augmentation(
        mirrored_zyx=(bool(mirrored[0]), bool(mirrored[1]), bool(mirrored[2])),
        quarter_turns=turns,
        contrast=float(np.exp(settings.contrast_spread * contrast)),
        brightness=float(settings.brightness_spread * brightness),
        noise=float(settings.noise_highest * sizes[0]) if chances[3] < settings.noise_share else 0.0,
        noise_seed=noise_seed,
        blur_voxels=(
            float(settings.blur_highest_voxels * sizes[1]) if chances[4] < settings.blur_share else 0.0
        ),
        highest_tilt_deg=(
            float(settings.wedge_lowest_tilt_deg + sizes[2] * max(60.0 - settings.wedge_lowest_tilt_deg, 0.0))
            if chances[5] < settings.wedge_share
            else 90.0
        ),
        tilt_axis=settings.tilt_axis if turns % 2 == 0 else OTHER_AXIS[settings.tilt_axis],
    )


def apply_to_image(augmentation: Augmentation, image: Floats) -> Floats:
    """The varied patch of an image (channels, z, y, x); the first channel, the tomogram, in tone too."""
    turned = apply_to_labels(augmentation, image)
    tomogram = turned[0]
    if augmentation.blur_voxels > 0:
        tomogram = gaussian_filter(tomogram, augmentation.blur_voxels, mode="nearest")
    if augmentation.noise > 0:
        noise_rng = np.random.default_rng(augmentation.noise_seed)
        noise = noise_rng.standard_normal(tomogram.shape, dtype=np.float32)
        tomogram = tomogram + np.float32(augmentation.noise) * noise
    if augmentation.highest_tilt_deg < 90:
        tomogram = cut_wedge(tomogram, augmentation.highest_tilt_deg, augmentation.tilt_axis)
    varied = turned.copy()
    varied[0] = tomogram * np.float32(augmentation.contrast) + np.float32(augmentation.brightness)
    return varied


def apply_to_labels(augmentation: Augmentation, labels: NDArray[Any]) -> NDArray[Any]:
    """The patch (…, z, y, x) mirrored and turned as the image is, every value untouched."""
    turned = np.rot90(labels, augmentation.quarter_turns, axes=(-2, -1))
    mirrored = tuple(axis - 3 for axis in range(3) if augmentation.mirrored_zyx[axis])
    return np.ascontiguousarray(np.flip(turned, mirrored))


def cut_wedge(patch: Floats, highest_tilt_deg: float, tilt_axis: str = "y") -> Floats:
    """The patch (z, y, x) without the Fourier components that tilts up to an angle do not reach."""
    spectrum = np.fft.rfftn(patch)
    frequency_z = np.abs(np.fft.fftfreq(patch.shape[0]))[:, None, None]
    frequency_y = np.abs(np.fft.fftfreq(patch.shape[1]))[None, :, None]
    frequency_x = np.fft.rfftfreq(patch.shape[2])[None, None, :]
    across = frequency_x if tilt_axis == "y" else frequency_y
    seen = frequency_z <= across * np.tan(np.deg2rad(highest_tilt_deg)) + 1e-9
    return np.fft.irfftn(spectrum * seen, s=patch.shape, axes=(0, 1, 2)).astype(np.float32)
