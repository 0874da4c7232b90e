"""Masks with their border moved: how far, how alike, and what must never happen to them."""

from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import binary_dilation, label

from surfora.masks.grids import Grid
from surfora.masks.membranes import Membrane
from surfora.masks.perturbed import Perturbation, moved_border, perturbed


def sheet(thickness):
    """A flat membrane of so many voxels, away from the array's edges."""
    mask = np.zeros((24, 70, 70), dtype=bool)
    mask[10 : 10 + thickness, 2:-2, 2:-2] = True
    return mask


def test_each_face_moves_by_half_a_voxel_and_not_alike():
    shifts = []
    for seed in range(16):
        moved = moved_border(sheet(6), Perturbation(seed, 0.5, 2.0))
        columns = moved[:, 10:-10, 10:-10]
        top, bottom = columns[13:].sum(axis=0) - 3.0, columns[:13].sum(axis=0) - 3.0
        shifts.append(np.stack([top, bottom]))
    shifts = np.array(shifts)
    # whole voxels for shifts beyond half a voxel of a normal distribution of SD half a voxel
    assert (shifts != 0).mean() == pytest.approx(0.317, abs=0.06)
    assert shifts.mean() == pytest.approx(0, abs=0.12)
    both = np.corrcoef(shifts[:, 0].ravel(), shifts[:, 1].ravel())[0, 1]
    assert -0.1 < both < 0.6  # the shared part alone
    beside = np.corrcoef(shifts[:, 0, :, 1:].ravel(), shifts[:, 0, :, :-1].ravel())[0, 1]
    far = np.corrcoef(shifts[:, 0, :, 20:].ravel(), shifts[:, 0, :, :-20].ravel())[0, 1]
    assert beside > 0.6
    assert far < beside - 0.2


@pytest.mark.parametrize("normal", [(1, 0, 0), (1, 1, 1), (3, 2, 1)])
@pytest.mark.parametrize("border", [0.5, 1.5])
def test_faces_move_as_far_whichever_way_they_lie(normal, border):
    normal = np.array(normal) / np.linalg.norm(normal)
    places = np.moveaxis(np.indices((40, 40, 40)), 0, -1) - 19.8
    height = places @ normal
    mask = np.abs(height) <= 5
    across = places - height[..., None] * normal
    upper = [(height > 0) & (np.linalg.norm(across - at, axis=-1) <= 2) for at in spread_over(normal)]
    moves = []
    for seed in range(12):
        change = moved_border(mask, Perturbation(seed, border, 2.5)).astype(int) - mask
        moves += [change[part].sum() / (np.pi * 2**2) for part in upper]
    assert np.std(moves) == pytest.approx(border, rel=0.25)
    assert np.mean(moves) == pytest.approx(0, abs=0.3 * border)


def spread_over(normal):
    """Five places on a plane through the origin, far enough apart to move each for itself."""
    one = np.cross(normal, (0.3, 0.5, 0.9))
    one /= np.linalg.norm(one)
    other = np.cross(normal, one)
    return [0 * one, 11 * one, -11 * one, 11 * other, -11 * other]


@pytest.mark.parametrize("thickness", [1, 2, 3])
def test_thin_membranes_are_not_torn_where_the_border_is_in_great_doubt(thickness):
    for seed in range(6):
        moved = moved_border(sheet(thickness), Perturbation(seed, 1.5, 2.5))
        assert moved.any(axis=0)[4:-4, 4:-4].all()


def test_a_larger_border_moves_more_and_none_leaves_the_mask_as_it_is():
    mask = sheet(5)
    changed = [
        (moved_border(mask, Perturbation(3, border, 2.0)) ^ mask).sum() for border in (0.0, 0.3, 0.6, 1.0)
    ]
    assert changed[0] == 0
    assert changed == sorted(changed)
    assert changed[1] > 0


@pytest.mark.parametrize("thickness", [1, 2, 3])
def test_thin_membranes_are_not_torn(thickness):
    for seed in range(12):
        moved = moved_border(sheet(thickness), Perturbation(seed, 0.5, 2.0))
        hollow = ~moved.any(axis=0)[4:-4, 4:-4]
        assert hollow.mean() < 0.05
        assert label(moved, np.ones((3, 3, 3)))[1] == 1


def test_other_labels_are_never_taken_and_the_seed_decides():
    mask, foreign = sheet(4), np.zeros((24, 70, 70), dtype=bool)
    foreign[14:18] = True
    how = Perturbation(5, 0.8, 2.0)
    moved = moved_border(mask, how, foreign)
    assert not (moved & foreign).any()
    assert (moved & ~mask).any()
    assert (moved <= binary_dilation(mask, iterations=2)).all()  # 2.5 voxels are 3.1 standard deviations
    assert not (moved <= binary_dilation(mask)).all()
    np.testing.assert_array_equal(moved, moved_border(mask, how, foreign))
    assert (moved != moved_border(mask, Perturbation(6, 0.8, 2.0), foreign)).any()


def test_a_membrane_keeps_its_place_and_takes_the_voxel_edge():
    grid = Grid((24, 70, 70), 1.5, (10.0, 20.0, 30.0))
    plain = Membrane("m", "", Path("m.mrc"), sheet(5), None, 1.5, (10.0, 20.0, 30.0), grid)
    still = perturbed(plain, Perturbation(0, 0.0, 2.0))
    np.testing.assert_array_equal(still.mask, plain.mask)
    assert still.origin_nm == plain.origin_nm
    wider = perturbed(plain, Perturbation(0, 0.0, 2.0, voxel_factor=1.02))
    assert wider.voxel_size_nm == pytest.approx(1.53)
    np.testing.assert_allclose(wider.origin_nm, np.array((10.0, 20.0, 30.0)) * 1.02)
    other = perturbed(
        Membrane("n", "", Path("m.mrc"), sheet(5), None, 1.5, (0.0,) * 3, grid), Perturbation(1, 0.5, 2)
    )
    assert (other.mask != perturbed(plain, Perturbation(1, 0.5, 2)).mask).any()


def test_nothing_moves_where_the_volume_ends():
    whole = np.zeros((24, 40, 40), dtype=bool)
    whole[10:15] = True  # to all four edges
    grid = Grid((24, 40, 40), 1.5, (0.0, 0.0, 0.0))
    cut = Membrane("m", "", Path("m.mrc"), whole, None, 1.5, (0.0, 0.0, 0.0), grid)
    for seed in range(6):
        moved = perturbed(cut, Perturbation(seed, 0.5, 2.0)).mask
        assert moved[12, [0, -1]].all()
        assert moved[12, :, [0, -1]].all()
        assert (moved != whole).any()
