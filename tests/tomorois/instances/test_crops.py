"""ROI subvolumes out and masks back: what is cut out comes back to its place."""

from __future__ import annotations

import numpy as np
import pytest

from tomocore.contract import InputError
from tomocore.roiset import rois_from_masks, write_rois_archive
from tomocore.volumes.formats import read_volume, write_volume
from tomocore.volumes.volume import Volume
from tomorois.instances.crops import CropSettings, crop_rois, paste_masks, read_crops, write_crops
from tomorois.instances.files import crop_file

SHAPE = (18, 26, 34)
ORIGIN = (10.0, -20.0, 3.0)


@pytest.fixture
def tomogram() -> Volume:
    return Volume(np.random.default_rng(0).normal(size=SHAPE).astype(np.float32), 2.0, ORIGIN)


@pytest.fixture
def rois():
    masks = [np.ones((4, 5, 6), dtype=bool)] * 2
    return rois_from_masks([(6, 8, 9), (13, 20, 27)], masks, SHAPE, 2.0, ORIGIN, {"id": [3, 12]})


def test_crops_have_their_margin_and_place(tomogram, rois):
    (first, inner), (second, cut) = crop_rois(tomogram, rois, 6.0)
    assert (first, second) == (3, 12)
    assert np.array_equal(inner.data, tomogram.data[3:13, 5:16, 6:18])
    assert inner.origin_nm == pytest.approx((10 + 12, -20 + 10, 3 + 6))
    assert cut.shape == (8, 9, 10)  # cut by the edge on three sides


def test_masks_come_back_to_their_places_the_highest_where_they_overlap(tomogram, rois):
    crops = crop_rois(tomogram, rois, 20.0)
    masks = [(roi_id, crop.with_data((crop.data > 0).astype(np.int8) * roi_id)) for roi_id, crop in crops]
    pasted = paste_masks(masks, tomogram)
    expected = np.zeros(SHAPE, np.int8)
    for (roi_id, _), (z, y, x) in zip(crops, ((6, 8, 9), (13, 20, 27)), strict=True):
        box = tuple(slice(max(a - 10, 0), a + n + 10) for a, n in zip((z, y, x), (4, 5, 6), strict=True))
        expected[box] = np.maximum(expected[box], (tomogram.data[box] > 0) * roi_id)
    assert np.array_equal(pasted.data, expected)
    assert (pasted.voxel_size_nm, pasted.origin_nm) == (2.0, ORIGIN)


def test_files_of_an_outside_tool_that_lost_the_header_come_back(tomogram, rois, tmp_path):
    *paths, table = write_crops(tmp_path, "tomo", tomogram, rois, 6.0)
    assert [p.name for p in paths] == ["tomo__roi003.mrc", "tomo__roi012.mrc"]
    before = table.read_bytes()
    write_volume(tmp_path / "tomo.mrc", tomogram)
    write_rois_archive(tmp_path / "tomo__rois.npz", rois)
    given = tmp_path / "tomo.mrc", tmp_path / "tomo__rois.npz", tmp_path, CropSettings(margin_nm=20.0)
    assert list(crop_file(*given).skipped) == [str(table)]
    assert table.read_bytes() == before
    masks = []
    for path in paths:
        mask = tmp_path / f"{path.stem}_segmented.mrc"
        write_volume(mask, Volume((read_volume(path).data > 0.5).astype(np.int8), 0.5))
        masks.append(mask)
    pasted = paste_masks(read_crops(masks, table, tomogram), tomogram)
    covered = np.zeros(SHAPE, dtype=bool)
    covered[3:13, 5:16, 6:18] = covered[10:18, 17:26, 24:34] = True
    assert np.array_equal(pasted.data > 0, (tomogram.data > 0.5) & covered)


def test_a_mask_belongs_to_the_crop_of_its_whole_number(tomogram, tmp_path):
    """ROI 1000's mask is not put where ROI 100 is, though the name of one begins with the other's."""
    box = np.ones((4, 4, 4), bool)
    starts = [(0, 0, 0), (0, 0, 8), (0, 8, 0)]
    rois = rois_from_masks(starts, [box] * 3, SHAPE, 2.0, ORIGIN, {"id": [100, 10, 1000]})
    *paths, table = write_crops(tmp_path, "tomo", tomogram, rois, 0.0)
    masks = []
    for path, value in zip(paths, (1, 2, 3), strict=True):
        masks.append(tmp_path / f"{path.stem}_seg.mrc")
        write_volume(masks[-1], Volume(np.full((4, 4, 4), value, np.int8), 2.0))
    pasted = paste_masks(read_crops(masks, table, tomogram), tomogram).data
    assert [pasted[start] for start in starts] == [1, 2, 3]
    write_volume(tmp_path / "tomo__roi1001_seg.mrc", Volume(box.astype(np.int8), 2.0))
    with pytest.raises(InputError, match="begins with none of the crops"):
        read_crops([tmp_path / "tomo__roi1001_seg.mrc"], table, tomogram)


def test_a_crop_is_not_pasted_beside_its_mask(tomogram, rois, tmp_path):
    """As a pattern over the folder of both gives."""
    first, second, table = write_crops(tmp_path, "tomo", tomogram, rois, 6.0)
    mask = tmp_path / f"{first.stem}_mask.mrc"
    write_volume(mask, Volume(np.ones(read_volume(first).shape, np.int8), 2.0))
    with pytest.raises(InputError, match=r"_mask\.mrc and .*tomo__roi003\.mrc are both of the crop"):
        read_crops([mask, first], table, tomogram)
    dark = Volume(np.full(read_volume(second).shape, -90, np.int16), 2.0)
    write_volume(second, dark)
    with pytest.raises(InputError, match=r"tomo__roi012\.mrc: holds from -90 to -90, so it is no mask"):
        read_crops([mask, second], table, tomogram)


def test_crops_that_do_not_fit_are_refused(tomogram, rois, tmp_path):
    (roi_id, crop), _ = crop_rois(tomogram, rois, 6.0)
    for changed, message in (
        (Volume(crop.data, 4.0, crop.origin_nm), "same binning"),
        (Volume(crop.data, 2.0, (0.9, 0.0, 0.0)), "between the whole's voxels"),
        (Volume(crop.data, 2.0, (90.0, -20.0, 3.0)), "outside the whole"),
    ):
        with pytest.raises(InputError, match=message):
            paste_masks([(roi_id, changed)], tomogram)
    *paths, table = write_crops(tmp_path, "tomo", tomogram, rois, 6.0)
    write_volume(tmp_path / "tomo__roi003_small.mrc", Volume(np.zeros((2, 2, 2), np.int8), 2.0))
    with pytest.raises(InputError, match="keep size and binning"):
        read_crops([tmp_path / "tomo__roi003_small.mrc"], table, tomogram)
    write_volume(tmp_path / "other.mrc", Volume(np.zeros((2, 2, 2), np.int8), 2.0))
    with pytest.raises(InputError, match="begins with none of the crops"):
        read_crops([tmp_path / "other.mrc"], table, tomogram)
    with pytest.raises(InputError, match=r"give the __crops\.csv"):
        read_crops(paths, tmp_path / "missing.csv", tomogram)
