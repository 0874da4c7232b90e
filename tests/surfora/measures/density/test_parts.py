"""The parts of `surfora density`: profiles, the fit of two leaflets, the smooth shift."""

import numpy as np
import pytest
import shapes
from density_scenes import mesh_off

from surfora.measures.density import profiles as sampled
from surfora.measures.density.bilayer import MIDDLE, NUMBERS, SIGMA, SPACING, fitted_leaflets, has_two_peaks
from surfora.measures.density.shift import limited_shift, smooth_shift
from tomocore.volumes.formats import read_volume, write_volume
from tomocore.volumes.volume import Volume

OFFSETS = np.linspace(-6.0, 6.0, 25)


def ramp(dtype):
    """A volume whose grey value is x + 2 y + 3 z in voxels."""
    z, y, x = np.indices((24, 26, 28))
    return Volume((x + 2 * y + 3 * z).astype(dtype), 1.5, (3.0, -4.0, 7.0))


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float16, np.float32])
def test_profiles_of_a_ramp_are_exact_in_every_type(dtype):
    volume = ramp(dtype)
    random = np.random.default_rng(1)
    points = volume.world(random.uniform(5, 19, (40, 3)))
    ways = random.normal(size=(40, 3))
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    found = sampled.sampled_profiles(volume, points, ways, OFFSETS)
    at = volume.index((points[:, None] + OFFSETS[:, None] * ways[:, None]).reshape(-1, 3))
    within = ((at >= 0) & (at < np.array(volume.shape) - 1)).all(axis=1)
    expected = np.where(within, at @ (3.0, 2.0, 1.0), np.nan).reshape(found.shape)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_a_tomogram_on_disk_is_read_slab_by_slab_to_the_same_profiles(tmp_path, monkeypatch):
    volume = Volume(np.random.default_rng(0).normal(size=(60, 20, 22)).astype(np.float32), 1.2)
    write_volume(tmp_path / "t.mrc", volume)
    points = volume.world(np.random.default_rng(2).uniform(2, 17, (50, 3)) * (3.0, 1.0, 1.0))
    ways = np.tile([0.6, 0.0, 0.8], (50, 1))
    whole = sampled.sampled_profiles(volume, points, ways, OFFSETS)
    monkeypatch.setattr(sampled, "SLAB_BYTES", 1)
    slabs = sampled.sampled_profiles(read_volume(tmp_path / "t.mrc", lazy=True), points, ways, OFFSETS)
    np.testing.assert_allclose(slabs, whole, atol=1e-6)


def test_patch_means_are_weighted_by_area_and_pass_over_what_is_not_counted():
    mesh = mesh_off(shapes.flat_sheet(30.0, 30.0), 1.5)
    middle = mesh.vertices.mean(axis=0)
    values = np.linalg.norm(mesh.vertices - middle, axis=1).astype(np.float32)[:, None]
    centre = int(np.argmin(values))
    everywhere = np.ones(len(values), dtype=bool)
    means, areas = sampled.patch_means(mesh, mesh.normals, values, 9.0, everywhere)
    assert means[centre, 0] == pytest.approx(2 / 3 * 9.0, rel=0.05)  # of a disc, the mean distance
    assert areas[centre, 0] == pytest.approx(np.pi * 81, rel=0.1)
    blind = values.copy()
    blind[values > 4.5] = np.nan
    assert sampled.patch_means(mesh, mesh.normals, blind, 9.0, everywhere)[0][centre, 0] < 4.0
    ring = values[:, 0] > 4.5
    assert sampled.patch_means(mesh, mesh.normals, values, 9.0, ring)[0][centre, 0] > 6.0
    assert np.isnan(sampled.patch_means(mesh, mesh.normals, values, 9.0, ~everywhere)[0]).all()


def bilayer(numbers, offsets):
    base, slope, inner, outer, middle, spacing, sigma = numbers
    return (
        base
        + slope * offsets
        + inner * np.exp(-0.5 * ((offsets - middle + spacing / 2) / sigma) ** 2)
        + outer * np.exp(-0.5 * ((offsets - middle - spacing / 2) / sigma) ** 2)
    )


def test_the_fit_finds_the_numbers_that_a_profile_was_made_of():
    true = np.array([[0.3, 0.02, 1.0, 0.7, 0.8, 3.4, 0.8], [-0.1, -0.05, 0.6, 1.1, -1.3, 4.2, 1.0]])
    profiles = np.array([bilayer(one, OFFSETS) for one in true])
    low = np.array([-np.inf, -np.inf, 0, 0, -3, 1.5, 0.2])
    high = np.array([np.inf, np.inf, np.inf, np.inf, 3, 7, 3.0])
    begins = np.array([(0.0, 0.0, 1.0, 1.0, middle, 3.5, 0.9) for middle in np.arange(-2.0, 2.1, 0.4)])
    free = np.ones(NUMBERS, dtype=bool)
    found, left = fitted_leaflets(OFFSETS, profiles, np.ones_like(profiles), begins, low, high, free)
    np.testing.assert_allclose(found, true, atol=5e-3)
    assert (left < 1e-4).all()
    unknown = profiles.copy()
    unknown[0, :4] = np.nan
    unknown[1] = np.nan
    found, left = fitted_leaflets(OFFSETS, unknown, np.ones_like(profiles), begins, low, high, free)
    np.testing.assert_allclose(found[0], true[0], atol=1e-2)
    assert np.isnan(found[1]).all()
    assert np.isnan(left[1])
    free[SIGMA] = False
    fixed, _ = fitted_leaflets(OFFSETS, profiles, np.ones_like(profiles), begins, low, high, free)
    np.testing.assert_array_equal(fixed[:, SIGMA], 0.9)
    np.testing.assert_allclose(fixed[:, MIDDLE], true[:, MIDDLE], atol=0.05)


def test_two_peaks_are_told_from_one():
    numbers = np.array([0.0, 0.0, 1.0, 1.0, 0.0, 3.2, 1.0])
    assert has_two_peaks(numbers)
    numbers[SPACING] = 1.9  # two equal Gaussians part at twice their SD
    assert not has_two_peaks(numbers)


def test_the_shift_goes_on_where_nothing_is_known_and_passes_over_single_wrong_ones():
    mesh = mesh_off(shapes.sphere(18.0))
    known = np.linalg.norm(mesh.vertices - mesh.vertices[0], axis=1) > 6.0
    middle = np.full(len(known), 0.8)
    middle[~known] = np.nan
    wrong = np.flatnonzero(known)[::40]
    middle[wrong] = -2.5
    shift = smooth_shift(mesh, middle, known, 2.0)
    assert np.abs(shift - 0.8).max() < 0.3
    assert np.median(shift) == pytest.approx(0.8, abs=0.02)
    assert not smooth_shift(mesh, middle, np.zeros_like(known), 2.0).any()


def test_shifts_are_cut_at_a_share_of_the_way_to_the_next_membrane():
    free = np.array([[np.inf, 5.0, 1.0, 9.0], [np.inf, 9.0, 9.0, 1.0]])
    np.testing.assert_allclose(
        limited_shift(np.array([4.0, 4.0, 2.0, -2.0]), free, 3.0), [3.0, 2.0, 0.4, -0.4]
    )
