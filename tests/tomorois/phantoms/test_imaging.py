"""Contrast transfer, missing wedge, noise and flavours of simulated tomograms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import fft
from scipy.ndimage import gaussian_filter

from tomorois.phantoms.imaging import (
    ImagingSettings,
    Optics,
    ctf,
    electron_wavelength_nm,
    fourier_grid,
    noise_spectrum,
    take_tomogram,
    tilt_from_x_deg,
)
from tomorois.phantoms.shapes import Grid

GRID = Grid((36, 48, 60), 1.5)
OPTICS = Optics(defocus_um=4.0, snr=0.2)


def blobs(seed=0):
    white = np.random.default_rng(seed).standard_normal(GRID.shape, dtype=np.float32)
    return gaussian_filter(white, 1.5, mode="wrap")


def imaged(density, beads=None, seed=1, **settings):
    return take_tomogram(
        density, beads, GRID, OPTICS, ImagingSettings(**settings), np.random.default_rng(seed)
    )


@pytest.mark.parametrize(("kv", "picometres"), [(200, 2.508), (300, 1.969)])
def test_wavelengths_are_those_in_the_tables(kv, picometres):
    assert electron_wavelength_nm(kv) * 1e3 == pytest.approx(picometres, abs=0.0005)


@pytest.mark.parametrize("kv", [200.0, 300.0])
@pytest.mark.parametrize("defocus_um", [2.0, 6.0])
def test_zeros_of_the_transfer_lie_where_its_phase_is_a_multiple_of_pi(kv, defocus_um):
    """π λ Δz s − π/2 Cs λ³ s² + arcsin A = n π, solved for s = k²."""
    wavelength, cs, contrast = electron_wavelength_nm(kv), 2.7e6, 0.07
    for n in (1, 2, 5):
        b, a = np.pi * wavelength * defocus_um * 1e3, np.pi / 2 * cs * wavelength**3
        zero = np.sqrt((b - np.sqrt(b * b - 4 * a * (n * np.pi - np.arcsin(contrast)))) / (2 * a))
        around = ctf(np.array([0.99, 1.0, 1.01]) * zero, kv, defocus_um, 2.7, contrast)
        assert abs(around[1]) < 1e-3
        assert around[0] * around[2] < 0
    assert ctf([0.0], kv, defocus_um, 2.7, contrast)[0] == pytest.approx(-contrast)


@pytest.mark.parametrize("flavour", ["raw", "denoised"])
@pytest.mark.parametrize("tilt", [40.0, 60.0])
def test_nothing_is_in_the_missing_wedge(flavour, tilt):
    power = np.abs(fft.rfftn(imaged(blobs(), flavour=flavour, tilt_max_deg=tilt))) ** 2
    kz, kx = fft.fftfreq(GRID.shape[0])[:, None, None], fft.rfftfreq(GRID.shape[2])[None, None, :]
    missing = np.broadcast_to(np.abs(kz) > np.tan(np.radians(tilt)) * kx + 1e-9, power.shape)
    assert 0.2 < missing.mean() < 0.7
    assert power[missing].sum() < 1e-8 * power.sum()
    assert (power[~missing] > 0).mean() > 0.5


def test_without_a_wedge_all_directions_are_measured():
    waves = fourier_grid(GRID, 90.0)
    assert waves.measured.min() == 1


def test_noise_grows_with_the_distance_to_the_tilt_axis():
    waves = fourier_grid(GRID, 60.0)
    power = np.abs(noise_spectrum(GRID.shape, waves, np.random.default_rng(3))) ** 2
    across = np.broadcast_to(waves.across_per_nm, power.shape)
    level = np.broadcast_to((waves.measured > 0) & (waves.cos_tilt > 0.9), power.shape)
    inner = power[level & (across > 0.05) & (across < 0.07)].mean()
    outer = power[level & (across > 0.2) & (across < 0.24)].mean()
    assert outer / inner == pytest.approx(0.22 / 0.06, rel=0.2)
    steep = np.broadcast_to((waves.measured > 0) & (waves.cos_tilt < 0.6), power.shape)
    assert power[steep & (across > 0.2) & (across < 0.24)].mean() > 1.3 * outer


def test_tomograms_are_standardised_and_follow_their_seed():
    first, again, other = imaged(blobs()), imaged(blobs()), imaged(blobs(), seed=2)
    assert first.dtype == np.float32
    assert first.mean() == pytest.approx(0, abs=1e-5)
    assert first.std() == pytest.approx(1, abs=1e-5)
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)


def test_mass_is_dark_unless_asked_for_light():
    ball = np.zeros(GRID.shape, np.float32)
    ball[16:20, 22:26, 28:32] = 5.0
    dark = imaged(ball)
    assert dark[17:19, 23:25, 29:31].mean() < -3
    np.testing.assert_allclose(imaged(ball, polarity="bright"), -dark, atol=1e-5)


def test_denoised_is_closer_to_the_specimen_than_raw():
    density = blobs()
    truth = -density[4:-4, 4:-4, 4:-4].ravel()

    def likeness(flavour):
        return np.corrcoef(imaged(density, flavour=flavour)[4:-4, 4:-4, 4:-4].ravel(), truth)[0, 1]

    assert likeness("denoised") > 0.7
    assert likeness("denoised") > likeness("raw") + 0.2


def test_the_signal_to_noise_ratio_is_the_one_drawn():
    """Two raw tomograms of one specimen share their signal only: r = snr / (1 + snr)."""
    density = blobs()
    first, second = (imaged(density, seed=seed, flavour="raw") for seed in (5, 6))
    expected = OPTICS.snr / (1 + OPTICS.snr)
    assert np.corrcoef(first.ravel(), second.ravel())[0, 1] == pytest.approx(expected, rel=0.2)


def test_beads_leave_the_noise_as_it_was():
    bead = np.zeros(GRID.shape, np.float32)
    bead[10:12, 10:12, 10:12] = 30.0
    without, with_bead = imaged(blobs(), flavour="raw"), imaged(blobs(), bead, flavour="raw")
    far = (slice(22, 32), slice(30, 44), slice(36, 54))
    assert np.corrcoef(without[far].ravel(), with_bead[far].ravel())[0, 1] > 0.98
    assert with_bead[11, 11, 11] < -4


def test_wedge_angles_are_seen_along_the_tilt_axis():
    directions = np.array([[1.0, 0, 0], [0.1, 5.0, 0.1], [0, 0, -1.0], [-1, 0, np.sqrt(3)]])
    np.testing.assert_allclose(tilt_from_x_deg(directions), [0, 45, 90, 60], atol=1e-9)
