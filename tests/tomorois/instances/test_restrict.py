"""Membranes within ROIs: labels by the nearest ROI, overlaps kept ROI by ROI."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from tomocore.contract import InputError
from tomocore.roiset import RoiSet, rois_from_masks, write_rois_archive
from tomocore.volumes.formats import write_volume
from tomocore.volumes.volume import Volume
from tomorois.instances.files import paste_files, restrict_file
from tomorois.instances.restrict import membranes_by_roi, restrict_mask

SHAPE = (16, 30, 40)
ORIGIN = (4.0, 5.0, 6.0)


@pytest.fixture
def rois() -> RoiSet:
    """Two blocks 6 voxels apart, and a small one far away, where there is no membrane."""
    starts = [(4, 8, 5), (4, 8, 17), (1, 26, 36)]
    masks = [np.ones((8, 8, 6), dtype=bool), np.ones((8, 8, 6), dtype=bool), np.ones((2, 2, 2), dtype=bool)]
    return rois_from_masks(starts, masks, SHAPE, 2.0, ORIGIN, {"id": [7, 3, 1]})


@pytest.fixture
def membrane() -> Volume:
    sheet = np.zeros(SHAPE, np.int8)
    sheet[7:9, :20] = 2
    return Volume(sheet, 2.0, ORIGIN)


def whole(rois: RoiSet, row: int) -> np.ndarray:
    mask = np.zeros(rois.shape, dtype=bool)
    mask[rois.box(row)] = rois.mask(row)
    return mask


@pytest.mark.parametrize("dilation_nm", [0.0, 4.0, 10.0])
def test_labels_follow_the_nearest_roi_within_reach(rois, membrane, dilation_nm, caplog):
    labels = restrict_mask(membrane, rois, dilation_nm)
    assert labels.data.dtype == np.int16
    assert (labels.voxel_size_nm, labels.origin_nm) == (2.0, ORIGIN)
    distance = np.stack([2.0 * distance_transform_edt(~whole(rois, row)) for row in (1, 0)])  # ids 3, 7
    near = np.where(distance[1] < distance[0], 7, 3)
    expected = np.where((membrane.data > 0) & (distance.min(axis=0) <= dilation_nm + 1e-6), near, 0)
    assert np.array_equal(labels.data, expected)
    assert "1 of 3 ROIs hold no membrane: 1" in caplog.text


def test_overlaps_survive_roi_by_roi(rois, membrane):
    found = dict(membranes_by_roi(membrane, rois, 10.0))
    assert list(found) == [7, 3, 1]
    places = {}
    for roi_id, crop in found.items():
        assert set(np.unique(crop.data)) <= {0, 2}
        places[roi_id] = {tuple(p) for p in np.rint(crop.world(np.argwhere(crop.data))).astype(int)}
    assert len(places[7] & places[3]) > 50
    assert not places[1]
    both = np.count_nonzero(restrict_mask(membrane, rois, 10.0).data)
    assert len(places[7] | places[3]) == both


def test_no_membrane_in_any_roi_is_said(rois, caplog):
    empty = restrict_mask(Volume(np.zeros(SHAPE, np.int8), 2.0, ORIGIN), rois, 5.0)
    assert not empty.data.any()
    assert "no ROI holds any membrane" in caplog.text


def test_no_rois_give_an_empty_volume(membrane):
    assert not restrict_mask(membrane, rois_from_masks([], [], SHAPE, 2.0), 5.0).data.any()


def test_other_grids_are_refused(rois, membrane):
    with pytest.raises(InputError, match="same binning"):
        restrict_mask(Volume(np.zeros((8, 15, 20), np.int8), 4.0), rois, 5.0)
    with pytest.raises(InputError, match="--voxel-size"):
        restrict_mask(Volume(membrane.data, 1.0), rois, 5.0)


@pytest.mark.parametrize("low", [0.0, -200.0])
def test_a_tomogram_or_a_map_is_no_mask(rois, tmp_path, low):
    """Every voxel above 0 would be membrane."""
    data = np.linspace(low, 0.9, np.prod(SHAPE)).reshape(SHAPE)
    data = data.astype(np.float32) if low == 0.0 else data.astype(np.int16)
    write_volume(tmp_path / "t.mrc", Volume(data, 2.0, ORIGIN))
    write_rois_archive(tmp_path / "t__rois.npz", rois)
    with pytest.raises(InputError, match=r"t\.mrc: holds .* so it is no mask"):
        restrict_file(tmp_path / "t.mrc", tmp_path / "t__rois.npz", tmp_path / "out.mrc")
    assert not (tmp_path / "out.mrc").exists()


def test_no_volume_is_made_for_a_name_without_an_ending(tmp_path):
    nothing, out = tmp_path / "not there.mrc", tmp_path / "out"
    for begin in (
        lambda: restrict_file(nothing, nothing, out),
        lambda: paste_files([nothing], nothing, nothing, out),
    ):
        with pytest.raises(InputError, match=r"/out: volumes are written as \.mrc"):
            begin()
