"""From a scene to a tomogram: bilayer density, contrast transfer, noise of the projections, missing wedge.

The tilt series is simulated in Fourier space: with the tilt axis along y, central slices at all angles up
to the greatest tilt fill |kz| ≤ tan(tilt) |kx|, and nothing fills the rest. Each slice carries the
contrast transfer function of its |k| and white noise; the weighting that reconstruction applies (a ramp
in the distance to the tilt axis) leaves noise whose power grows with that distance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field
from scipy import fft

from tomocore.settings import Settings
from tomorois.phantoms.shapes import Floats, Grid, Range

Image = NDArray[np.float32]

PLANCK_J_S = 6.62607015e-34
ELECTRON_KG = 9.1093837015e-31
ELECTRON_C = 1.602176634e-19
LIGHT_M_S = 299792458.0
RADIAL_BINS = 64


class ImagingSettings(Settings):
    """The microscope and what is done to its tomograms."""

    flavour: Literal["denoised", "raw"] = Field(
        "denoised",
        description="What is made: denoised, with less noise and Wiener-filtered, as users feed today; "
        "or raw, the back-projection.",
    )
    polarity: Literal["dark", "bright"] = Field("dark", description="How membranes look against the solvent.")
    voltage_kv: float = Field(300.0, ge=80, le=400, description="Acceleration voltage in kV.")
    defocus_um: Range = Field(
        (3.0, 6.0), description="Least and greatest underfocus in µm, drawn for each tomogram."
    )
    cs_mm: float = Field(2.7, ge=0, le=10, description="Spherical aberration in mm.")
    amplitude_contrast: float = Field(0.07, ge=0, le=1, description="Share of amplitude contrast.")
    tilt_max_deg: float = Field(
        60.0, gt=0, le=90, description="Greatest tilt in degrees about y; 90: no missing wedge."
    )
    snr: Range = Field(
        (0.1, 0.25),
        description="Least and greatest ratio of signal to noise variance of the raw tomogram, drawn.",
    )
    denoised_noise_share: float = Field(
        0.3,
        ge=0,
        le=1,
        description="Share of the raw noise amplitude that denoising leaves before the Wiener filter.",
    )


@dataclass(frozen=True)
class Optics:
    """What was drawn for one tomogram."""

    defocus_um: float
    snr: float


def drawn_optics(settings: ImagingSettings, rng: np.random.Generator) -> Optics:
    """Defocus and signal-to-noise ratio of one tomogram."""
    return Optics(float(rng.uniform(*settings.defocus_um)), float(rng.uniform(*settings.snr)))


def take_tomogram(
    density: Image,
    beads: Image | None,
    grid: Grid,
    optics: Optics,
    settings: ImagingSettings,
    rng: np.random.Generator,
) -> Image:
    """The tomogram (float32, mean 0, standard deviation 1) of a density on a grid.

    ``density`` is scattering mass above the solvent, any unit; the signal-to-noise ratio holds for it
    alone, while the image of ``beads`` is added. The volume is taken as periodic: give it a margin.
    """
    waves = fourier_grid(grid, settings.tilt_max_deg)
    transfer = ctf(
        waves.k_per_nm, settings.voltage_kv, optics.defocus_um, settings.cs_mm, settings.amplitude_contrast
    )
    transfer *= waves.measured
    signal = fft.rfftn(density) * transfer
    noise = noise_spectrum(grid.shape, waves, rng)
    noise *= np.float32(np.sqrt(waves.power(signal) / waves.power(noise) / optics.snr))
    if settings.flavour == "denoised":
        noise *= np.float32(settings.denoised_noise_share)
    restoring = (
        wiener_filter(signal, noise, transfer, waves) if settings.flavour == "denoised" else waves.roll_off
    )
    if beads is not None:
        signal += fft.rfftn(beads) * transfer
    image = fft.irfftn((signal + noise) * restoring, s=grid.shape, workers=1)
    if settings.polarity == "bright":
        image = -image
    return normalised(image)


def normalised(image: NDArray[np.floating[Any]]) -> Image:
    """The image with mean 0 and standard deviation 1, float32."""
    return ((image - image.mean()) / image.std()).astype(np.float32)


@dataclass(frozen=True)
class Waves:
    """The Fourier grid of a real volume (last axis halved), all arrays broadcastable to it.

    ``k_per_nm`` spatial frequency; ``across_per_nm`` its distance to the tilt axis y; ``cos_tilt`` of the
    tilt whose slice holds it; ``measured`` 1 where |kz| ≤ tan(tilt) |kx|; ``weight`` how often each
    coefficient stands for itself and its conjugate; ``roll_off`` the reconstruction's soft cut-off.
    """

    k_per_nm: Image
    across_per_nm: Image
    cos_tilt: Image
    measured: Image
    weight: Image
    roll_off: Image

    def power(self, spectrum: NDArray[np.complexfloating[Any, Any]]) -> float:
        """Sum of |F|² over all that reconstruction keeps but the mean."""
        squares = squared(spectrum) * self.roll_off**2 * self.weight
        return float(squares.sum(dtype=np.float64) - squares[0, 0, 0])


def fourier_grid(grid: Grid, tilt_max_deg: float) -> Waves:
    """The Fourier grid of a volume and what a tilt series up to ``tilt_max_deg`` measures of it."""
    nz, ny, nx = grid.shape
    kz = fft.fftfreq(nz, grid.voxel_size_nm).astype(np.float32)[:, None, None]
    ky = fft.fftfreq(ny, grid.voxel_size_nm).astype(np.float32)[None, :, None]
    kx = fft.rfftfreq(nx, grid.voxel_size_nm).astype(np.float32)[None, None, :]
    across = np.hypot(kx, kz)
    k = np.sqrt(across**2 + ky**2)
    weight = np.full(kx.shape, 2.0, np.float32)
    weight[..., 0] = 1.0
    if nx % 2 == 0:
        weight[..., -1] = 1.0
    return Waves(
        k_per_nm=k,
        across_per_nm=across,
        cos_tilt=np.divide(kx, across, out=np.ones_like(across), where=across > 0),
        measured=measured_frequencies(kz, kx, tilt_max_deg).astype(np.float32),
        weight=weight,
        roll_off=np.clip((0.5 / grid.voxel_size_nm - k) * grid.voxel_size_nm / 0.05, 0.0, 1.0),
    )


def squared(spectrum: NDArray[np.complexfloating[Any, Any]]) -> Image:
    """|F|² of each coefficient."""
    return spectrum.real**2 + spectrum.imag**2


def measured_frequencies(
    kz: NDArray[np.floating[Any]], kx: NDArray[np.floating[Any]], tilt_max_deg: float
) -> NDArray[np.bool_]:
    """Whether a tilt series about y up to ``tilt_max_deg`` measures the frequencies (broadcast kz, kx)."""
    if tilt_max_deg >= 90:
        return np.ones(np.broadcast_shapes(kz.shape, kx.shape), dtype=bool)
    return np.abs(kz) <= np.tan(np.radians(tilt_max_deg)) * np.abs(kx)


def tilt_from_x_deg(directions: Floats) -> Floats:
    """Angles (n,) from the x axis of directions (n, 3) seen along the tilt axis y: 0 to 90 (unseen)."""
    directions = np.atleast_2d(directions)
    return np.degrees(np.arctan2(np.abs(directions[:, 2]), np.abs(directions[:, 0])))


def electron_wavelength_nm(voltage_kv: float) -> float:
    """Relativistic wavelength in nm: h / √(2 m e V (1 + e V / 2 m c²))."""
    energy = ELECTRON_C * voltage_kv * 1e3
    momentum = np.sqrt(2 * ELECTRON_KG * energy * (1 + energy / (2 * ELECTRON_KG * LIGHT_M_S**2)))
    return float(PLANCK_J_S / momentum * 1e9)


def ctf(
    k_per_nm: ArrayLike, voltage_kv: float, defocus_um: float, cs_mm: float, amplitude_contrast: float
) -> Image:
    """Contrast transfer −sin(χ + arcsin A), χ = π λ Δz k² − π/2 Cs λ³ k⁴, float32.

    Negative at low frequencies: mass is dark. ``k_per_nm`` are spatial frequencies in 1/nm, in any shape, λ
    follows from ``voltage_kv``, Δz is ``defocus_um`` in µm (above 0: underfocus), Cs is ``cs_mm`` in mm, and
    A is ``amplitude_contrast``, a share from 0 to 1.
    """
    wavelength = electron_wavelength_nm(voltage_kv)
    k2 = np.asarray(k_per_nm, dtype=np.float32) ** 2
    chi = np.pi * wavelength * defocus_um * 1e3 * k2 - np.pi / 2 * cs_mm * 1e6 * wavelength**3 * k2**2
    return -np.sin(chi + np.arcsin(amplitude_contrast)).astype(np.float32)


def noise_spectrum(
    shape: tuple[int, int, int], waves: Waves, rng: np.random.Generator
) -> NDArray[np.complex64]:
    """Fourier coefficients of the noise that white noise in every projection leaves after reconstruction.

    About 1/r slices meet at distance r from the tilt axis and each is weighted by r, so the power is
    ∝ r²/r = r; a tilted specimen is 1/cos(tilt) thicker and lets so much less of the signal through.
    """
    white = fft.rfftn(rng.standard_normal(shape, dtype=np.float32))
    least = waves.across_per_nm[0, 0, 1]
    power = np.maximum(waves.across_per_nm, least) / np.maximum(waves.cos_tilt, 0.1) * waves.measured
    return white * np.sqrt(power)


def wiener_filter(
    signal: NDArray[np.complexfloating[Any, Any]],
    noise: NDArray[np.complexfloating[Any, Any]],
    transfer: Image,
    waves: Waves,
) -> Image:
    """The filter −H / (H² + N/S) by shells of |k|, S the signal's power before transfer, N the noise's.

    It undoes the transfer's reversals where the signal stands above the noise; the sign keeps mass dark.
    """
    step = float(waves.k_per_nm.max()) / RADIAL_BINS
    shell = np.minimum((waves.k_per_nm / step).astype(np.int32), RADIAL_BINS - 1)
    measured = (waves.measured * waves.weight).astype(np.float32)

    def by_shell(values: Image) -> NDArray[np.float64]:
        return np.bincount(shell.ravel(), (values * measured).ravel(), minlength=RADIAL_BINS).astype(
            np.float64
        )

    transferred = np.maximum(by_shell(transfer**2), 1e-12)
    signal_power = by_shell(squared(signal)) / transferred
    noise_power = by_shell(squared(noise)) / np.maximum(by_shell(np.ones_like(transfer)), 1.0)
    inverse_snr = noise_power / np.maximum(signal_power, 1e-12 * max(signal_power.max(), 1e-30))
    return (-transfer / (transfer**2 + inverse_snr[shell] + 1e-3)).astype(np.float32) * waves.roll_off
