import cc3d
import numpy as np
import pytest
import shapes

from surfora.masks.cleaning import (
    TooSmallError,
    clean_mask,
    cleaned_and_removed,
    cleaned_volume,
    mask_box,
    mask_thickness_nm,
    opened,
    without_cavities,
    without_small_pieces,
)
from surfora.masks.settings import CleanSettings
from tomocore.contract import InputError
from tomocore.volumes.volume import Volume

NOTHING = CleanSettings(min_volume_nm3=0, fill_holes_nm3=0)


def slab(shape=(30, 40, 50), low=10, high=14):
    mask = np.zeros(shape, dtype=bool)
    mask[low:high, 5:35, 6:44] = True
    return mask


def test_cleaning_nothing_changes_nothing():
    mask = slab()
    assert np.array_equal(clean_mask(mask, 1.3, NOTHING), mask)


def test_small_pieces_go_by_volume_not_by_voxels():
    mask = slab()
    mask[22:25, 20:23, 20:23] = True  # 27 voxels
    settings = CleanSettings(min_volume_nm3=100)
    assert np.array_equal(clean_mask(mask, 1.0, settings), slab())
    assert np.array_equal(clean_mask(mask, 2.0, settings), mask)


def test_pieces_touching_at_a_corner_are_one():
    mask = slab()
    mask[14, 35, 44] = True
    assert clean_mask(mask, 1.0)[14, 35, 44]


def test_opening_removes_a_spur_and_keeps_the_sheet():
    mask = slab()
    mask[14:25, 20, 20] = True
    cleaned = clean_mask(mask, 2.0, CleanSettings(opening_nm=2.0, min_volume_nm3=0))
    assert not cleaned[15:, 20, 20].any()
    assert cleaned[10:14, 7:33, 8:42].all()


def test_closing_fills_a_slit_no_wider_than_its_ball():
    mask = slab()
    mask[:, :, 25] = False
    wide = slab()
    wide[:, :, 22:28] = False
    settings = CleanSettings(closing_nm=1.5, min_volume_nm3=0)
    assert clean_mask(mask, 1.0, settings)[11:13, 8:32, 25].all()
    assert not clean_mask(wide, 1.0, settings)[:, :, 24:26].any()


def test_cavities_fill_up_to_the_volume_asked():
    mask = np.zeros((40, 40, 40), dtype=bool)
    mask[10:30, 10:30, 10:30] = True
    mask[15:17, 15:17, 15:17] = False  # 8 voxels
    mask[20:26, 20:26, 20:26] = False  # 216 voxels
    cleaned = clean_mask(mask, 1.0, CleanSettings(fill_holes_nm3=50))
    assert cleaned[15:17, 15:17, 15:17].all()
    assert not cleaned[20:26, 20:26, 20:26].any()


@pytest.mark.parametrize("share", [0.015, 0.3, 0.72, 0.9])
@pytest.mark.parametrize("fewest", [2, 5, 26, 2000])
def test_pieces_and_cavities_equal_those_of_the_whole_volume_numbered(share, fewest):
    mask = np.random.default_rng(3).random((30, 25, 41)) < share
    holes = cc3d.dust((~mask).view(np.uint8), threshold=fewest, connectivity=6).view(bool)
    np.testing.assert_array_equal(without_cavities(mask, fewest - 0.5), ~holes)
    pieces = cc3d.dust(mask.view(np.uint8), threshold=fewest, connectivity=26).view(bool)
    np.testing.assert_array_equal(without_small_pieces(mask, fewest - 0.5), pieces)


def test_opening_equals_its_definition():
    random = np.random.default_rng(5)
    mask = random.random((14, 15, 16)) < 0.9
    radius = 1.5
    offsets = np.argwhere(np.ones((3, 3, 3))) - 1
    offsets = offsets[np.linalg.norm(offsets, axis=1) <= radius]
    padded = np.pad(mask, 2, constant_values=True)  # the membrane goes on beyond the border
    eroded = np.all(
        [padded[tuple(slice(2 + d, n + 2 + d) for d, n in zip(o, mask.shape, strict=True))] for o in offsets],
        axis=0,
    )
    grown = np.pad(eroded, 2)
    expected = np.any(
        [grown[tuple(slice(2 + d, n + 2 + d) for d, n in zip(o, mask.shape, strict=True))] for o in offsets],
        axis=0,
    )
    assert 0 < expected.sum() < mask.sum()
    assert np.array_equal(opened(mask, radius), expected & mask)


def test_labels_are_cleaned_apart_and_an_empty_one_is_told(caplog):
    labels = np.zeros((30, 40, 50), dtype=np.uint8)
    labels[slab()] = 2
    labels[14:18, 5:35, 6:44] = 5
    labels[25, 3, 3] = 7
    cleaned = cleaned_volume(Volume(labels, 1.0)).data
    assert set(np.unique(cleaned)) == {0, 2, 5}
    assert np.array_equal(cleaned == 5, labels == 5)
    assert "1 label is too small for a surface" in caplog.text
    assert "7 left out" in caplog.text


def test_box_holds_the_mask_and_stays_in_the_array():
    assert mask_box(slab()) == (slice(10, 14), slice(5, 35), slice(6, 44))
    assert mask_box(slab(), 8) == (slice(2, 22), slice(0, 40), slice(0, 50))


@pytest.mark.parametrize("count", [0, 1, 5])
def test_too_few_voxels_are_refused_in_one_line(count):
    mask = np.zeros((10, 10, 10), dtype=bool)
    mask[5, 5, :count] = True
    with pytest.raises(InputError, match="empty" if count == 0 else f"only {count} voxel"):
        clean_mask(mask, 1.0)


def test_nothing_left_names_the_setting():
    with pytest.raises(InputError, match="min_volume_nm3"):
        clean_mask(slab(), 1.0, CleanSettings(min_volume_nm3=1e6))


@pytest.mark.parametrize("thickness", [1.0, 1.5, 2.0, 3.0, 4.0, 6.0])
@pytest.mark.parametrize(
    "shape", [shapes.sphere(20.0), shapes.torus(), shapes.flat_sheet()], ids=lambda s: s.name
)
def test_thickness_of_thin_and_thick_sheets(shape, thickness):
    mask, _ = shape.voxelise(1.0, thickness)
    assert mask_thickness_nm(mask, 1.0) == pytest.approx(thickness, rel=0.25)
    assert mask_thickness_nm(mask, 1.3) == pytest.approx(1.3 * mask_thickness_nm(mask, 1.0))


def skeleton_vesicles():
    """A vesicle of radius 12 nm and four of 6 nm, one voxel of 1 nm thick, 416 voxels each."""
    mask = np.zeros((30, 30, 64), bool)
    z, y, x = np.indices(mask.shape)
    places = [(14.5, 14.5, 14.5, 12.0), *((14.5, b, c, 6.0) for b in (7.5, 22.5) for c in (38.5, 54.5))]
    for at_z, at_y, at_x, radius in places:
        mask |= np.abs(np.sqrt((z - at_z) ** 2 + (y - at_y) ** 2 + (x - at_x) ** 2) - radius) <= 0.5
    return mask


def test_small_vesicles_of_a_skeleton_stay_by_their_area():
    mask = skeleton_vesicles()
    cleaned, removed = cleaned_and_removed(mask, 1.0)
    assert np.array_equal(cleaned, mask)
    assert removed.pieces == 0


def test_what_is_removed_is_told_as_pieces_and_share(caplog):
    mask = skeleton_vesicles()
    _, removed = cleaned_and_removed(mask, 1.0, CleanSettings(min_volume_nm3=1800))
    assert (removed.pieces, round(removed.share, 2)) == (4, 0.47)
    assert "4 pieces, 47 % of the membrane, each below clean.min_volume_nm3 = 1800" in caplog.text


@pytest.mark.parametrize("side", [11, 12])
def test_pieces_of_four_voxels_thick_masks_are_judged_by_volume_as_before(side):
    mask = np.zeros((30, 60, 50), dtype=bool)
    mask[10:14, 5:35, 6:44] = True
    mask[20:24, 40 : 40 + side, 5 : 5 + side] = True  # 484 and 576 nm³
    assert clean_mask(mask, 1.0)[20:].any() == (side == 12)


def test_masks_of_specks_are_too_small():
    mask = np.zeros((20, 20, 20), bool)
    mask[::4, ::4, ::4] = True
    with pytest.raises(TooSmallError):
        clean_mask(mask, 1.0)
