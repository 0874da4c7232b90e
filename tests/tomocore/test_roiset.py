"""ROI sets: overlaps survive, views state their rule, files come back as they went or say why not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import distance_transform_edt

from tomocore.contract import InputError
from tomocore.roiset import (
    RoiSet,
    box_with_margin,
    dilated_mask,
    labels_from_rois,
    mask_in_box,
    read_rois,
    rois_from_labels,
    rois_from_masks,
    union_mask,
    write_rois,
    write_rois_archive,
)
from tomocore.volumes.formats import read_volume, write_volume
from tomocore.volumes.volume import Volume

SHAPE = (20, 24, 30)
ORIGIN = (5.0, -3.0, 11.0)


def whole(rois: RoiSet, row: int) -> np.ndarray:
    """One ROI's mask on the whole grid."""
    mask = np.zeros(rois.shape, dtype=bool)
    mask[rois.box(row)] = rois.mask(row)
    return mask


def ball(centre: tuple[float, float, float], radius: float) -> np.ndarray:
    z, y, x = np.indices(SHAPE)
    return (z - centre[0]) ** 2 + (y - centre[1]) ** 2 + (x - centre[2]) ** 2 <= radius**2


@pytest.fixture
def masks() -> list[np.ndarray]:
    """Two balls that overlap, and a single voxel in the last corner."""
    corner = np.zeros(SHAPE, dtype=bool)
    corner[-1, -1, -1] = True
    return [ball((8, 10, 10), 5), ball((9, 10, 15), 6), corner]


@pytest.fixture
def overlapping(masks) -> RoiSet:
    columns = {
        "id": [4, 2, 9],
        "confidence_mean": [0.9, 0.8, 0.7],
        "membranes": ["1:2", "1:3", ""],
        "status": ["kept", "rejected", "predicted"],
        "gap_nm": [10.5, 12.0, np.nan],
    }
    return rois_from_masks([(0, 0, 0)] * 3, masks, SHAPE, 1.5, ORIGIN, columns)


def test_masks_are_kept_whole_where_rois_overlap(overlapping, masks):
    assert (masks[0] & masks[1]).any()
    for row, mask in enumerate(masks):
        assert np.array_equal(whole(overlapping, row), mask)
    assert overlapping.box(2) == (slice(19, 20), slice(23, 24), slice(29, 30))


def test_geometry_of_the_table_is_in_nm_and_in_world_axes(overlapping):
    row = overlapping.table.iloc[0]
    centroid = row[["centroid_x_nm", "centroid_y_nm", "centroid_z_nm"]].to_numpy(dtype=float)
    assert np.allclose(centroid, np.array(ORIGIN) + 1.5 * np.array([10, 10, 8]))
    assert row["volume_nm3"] == pytest.approx(whole(overlapping, 0).sum() * 1.5**3)


def test_the_label_view_lets_the_later_id_win(overlapping, masks):
    labels = labels_from_rois(overlapping).data
    assert labels.dtype == np.int16
    assert (labels[masks[0] & masks[1]] == 4).all()  # of ids 4 and 2
    assert (labels[masks[1] & ~masks[0]] == 2).all()
    assert np.array_equal(labels > 0, np.asarray(union_mask(overlapping).data) > 0)


def test_ids_beyond_int16_and_uint16():
    one = np.ones((1, 1, 1), dtype=bool)
    rois = rois_from_masks([(0, 0, 0)], [one], SHAPE, 1.0, columns={"id": [40000]})
    assert labels_from_rois(rois).data.dtype == np.uint16
    with pytest.raises(InputError, match="65535"):
        labels_from_rois(rois_from_masks([(0, 0, 0)], [one], SHAPE, 1.0, columns={"id": [70000]}))


def test_archive_round_trip_keeps_overlap_and_every_column(overlapping, tmp_path):
    path = tmp_path / "a__rois.npz"
    write_rois_archive(path, overlapping)
    back = read_rois(path)
    assert [p.name for p in tmp_path.iterdir()] == ["a__rois.npz"]
    assert (back.shape, back.voxel_size_nm, back.origin_nm) == (SHAPE, 1.5, ORIGIN)
    for row in range(3):
        assert np.array_equal(whole(back, row), whole(overlapping, row))
    pd.testing.assert_frame_equal(back.table, overlapping.table, check_dtype=False)


def test_archive_has_the_arrays_of_the_contract_and_no_pickles(overlapping, tmp_path):
    write_rois_archive(tmp_path / "a.npz", overlapping)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as archive:
        assert archive["boxes"].shape == (3, 2, 3)
        assert archive["offsets"].shape == (4,)
        extent = archive["boxes"][1, 1] - archive["boxes"][1, 0]
        packed = archive["bits"][archive["offsets"][1] : archive["offsets"][2]]
        mask = np.unpackbits(packed, count=extent.prod()).reshape(extent)
    assert np.array_equal(mask.astype(bool), overlapping.mask(1))


def test_write_rois_writes_three_files_and_does_not_overwrite_unasked(overlapping, tmp_path):
    paths = write_rois(tmp_path, "tomo", overlapping)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "tomo__rois.csv",
        "tomo__rois.mrc",
        "tomo__rois.npz",
    ]
    with pytest.raises(InputError, match="--overwrite"):
        write_rois(tmp_path, "tomo", overlapping)
    assert write_rois(tmp_path, "tomo", overlapping.at([0]), overwrite=True) == paths
    assert len(read_rois(paths[2])) == 1
    table = pd.read_csv(paths[1])
    assert table.loc[0, "volume_nm3"] == pytest.approx(overlapping.table["volume_nm3"][0], rel=1e-5)
    labels = read_volume(paths[0])
    assert labels.voxel_size_nm == pytest.approx(1.5)
    assert np.allclose(labels.origin_nm, ORIGIN)


def test_an_empty_set_goes_to_file_and_back(tmp_path):
    empty = rois_from_masks([], [], SHAPE, 2.0)
    paths = write_rois(tmp_path, "none", empty)
    for path in (paths[0], paths[2]):
        back = read_rois(path)
        assert len(back) == 0
        assert back.shape == SHAPE


@pytest.mark.parametrize("kind", [object, np.str_], ids=["as found", "as written once"])
def test_no_rois_with_columns_of_nothing_go_to_file_and_back(tmp_path, kind):
    nothing = np.empty(0, kind)
    empty = rois_from_masks([], [], SHAPE, 2.0, columns={"confidence_mean": nothing, "membranes": nothing})
    empty = empty.with_columns(confidence_mean=nothing) if kind is np.str_ else empty
    back = read_rois(write_rois(tmp_path, "none", empty)[2])
    assert len(back) == 0
    assert back.table["confidence_mean"].dtype == np.float64


def test_a_folder_in_place_of_a_file_is_told_as_one(tmp_path):
    with pytest.raises(InputError, match="is a folder; name a file in it"):
        read_rois(tmp_path)


def test_label_volumes_become_rois_by_label_without_the_ignored(tmp_path, masks):
    labels = np.zeros(SHAPE, np.int16)
    labels[masks[0]], labels[masks[2]] = 3, 255
    write_volume(tmp_path / "l.mrc", Volume(labels, 1.2, ORIGIN))
    assert read_rois(tmp_path / "l.mrc").ids.tolist() == [3, 255]
    rois = read_rois(tmp_path / "l.mrc", voxel_size_nm=3.0, ignore=(255,))
    assert rois.ids.tolist() == [3]
    assert rois.table["volume_nm3"][0] == pytest.approx(masks[0].sum() * 27.0)


def test_what_nobody_is_sure_of_is_no_roi(tmp_path, masks, caplog):
    """255 of labels that were painted for training, where they are given as ROIs."""
    labels = np.zeros(SHAPE, np.uint16)
    labels[1:4, 1:4, 1:4] = 1
    labels[6:8] = 255
    for name, ids in (("t__labels.mrc", [1]), ("t__rois.mrc", [1, 255])):
        write_volume(tmp_path / name, Volume(labels, 2.0))
        assert read_rois(tmp_path / name).ids.tolist() == ids
    assert "t__labels.mrc: voxels of 255 are those that nobody is sure of" in caplog.text


def test_one_label_in_pieces_becomes_a_roi_a_piece_with_a_warning(tmp_path, masks, caplog):
    write_volume(tmp_path / "l.mrc", Volume((masks[0] | masks[2]).astype(np.int8), 1.2))
    rois = read_rois(tmp_path / "l.mrc")
    assert rois.ids.tolist() == [1, 2]
    assert sorted(rois.table["volume_nm3"] / 1.2**3) == pytest.approx(
        sorted([masks[0].sum(), masks[2].sum()])
    )
    assert "2 separate pieces" in caplog.text


def test_a_label_beyond_all_lists_keeps_its_number():
    labels = np.zeros(SHAPE, np.int64)
    labels[3:6, 3:6, 3:6], labels[7:9, 7:9, 7:9] = 2**40, 5
    rois = rois_from_labels(Volume(labels, 1.0))
    assert rois.ids.tolist() == [5, 2**40]
    assert (rois.table["volume_nm3"] == [8.0, 27.0]).all()


def test_float_labels_are_read_and_fractions_refused():
    labels = np.zeros(SHAPE, np.float32)
    labels[3:6, 3:6, 3:6] = 2.0
    assert rois_from_labels(Volume(labels, 1.0)).ids.tolist() == [2]
    labels[0, 0, 0] = 0.4
    with pytest.raises(InputError, match="tomorois instances"):
        rois_from_labels(Volume(labels, 1.0))


@pytest.mark.parametrize(("voxel_size_nm", "distance_nm"), [(1.0, 3.0), (2.0, 6.0), (1.5, 0.0), (1.5, 100.0)])
def test_dilation_reaches_a_distance_in_nm(masks, voxel_size_nm, distance_nm):
    rois = rois_from_masks([(0, 0, 0)] * 2, [masks[0], masks[2]], SHAPE, voxel_size_nm)
    for row, mask in enumerate([masks[0], masks[2]]):
        grown = np.zeros(SHAPE, bool)
        box, within = dilated_mask(rois, row, distance_nm)
        grown[box] = within
        expected = distance_transform_edt(~mask) * voxel_size_nm <= distance_nm * (1 + 1e-6)
        assert np.array_equal(grown, expected)


def test_mask_in_any_box(overlapping, masks):
    box = (slice(6, 12), slice(0, 11), slice(12, 30))
    for row, mask in enumerate(masks):
        assert np.array_equal(mask_in_box(overlapping, row, box), mask[box])


def test_margin_is_in_nm_and_ends_at_the_edge(overlapping):
    assert box_with_margin(overlapping, 2, 3.0) == (slice(17, 20), slice(21, 24), slice(27, 30))


def test_chosen_rows_keep_ids_masks_and_table(overlapping, masks):
    kept = overlapping.at(overlapping.table["status"].to_numpy() != "rejected")
    assert kept.ids.tolist() == [4, 9]
    assert np.array_equal(whole(kept, 1), masks[2])
    assert len(overlapping.at([])) == 0


@pytest.mark.parametrize(
    ("starts", "mask", "ids", "message"),
    [
        ([(0, 0, 0)], np.zeros((2, 2, 2), bool), [1], "no voxel"),
        ([(19, 0, 0)], np.ones((2, 2, 2), bool), [1], "outside"),
        ([(-1, 0, 0)], np.ones((2, 2, 2), bool), [1], "outside"),
        ([(0, 0, 0)], np.ones((2, 2, 2), bool), [0], "positive"),
    ],
)
def test_masks_that_are_no_rois_are_refused(starts, mask, ids, message):
    with pytest.raises(InputError, match=message):
        rois_from_masks(starts, [mask], SHAPE, 1.0, columns={"id": ids})


def test_files_that_are_no_rois_are_refused_by_name(tmp_path, overlapping):
    with pytest.raises(InputError, match="no such file"):
        read_rois(tmp_path / "missing.npz")
    text = tmp_path / "text.npz"
    text.write_text("not an archive")
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    np.savez(tmp_path / "pickled.npz", ids=np.array([{"a": 1}], dtype=object))
    write_rois_archive(tmp_path / "good.npz", overlapping)
    cut = tmp_path / "cut.npz"
    cut.write_bytes((tmp_path / "good.npz").read_bytes()[:200])
    with np.load(tmp_path / "good.npz") as archive:
        damaged = dict(archive)
    damaged["boxes"] = damaged["boxes"] + np.array([[0, 0, 0], [0, 0, 1]])
    np.savez(tmp_path / "damaged.npz", **damaged)
    for name in ("text", "other", "pickled", "cut", "damaged"):
        with pytest.raises(InputError, match=f"{name}.npz"):
            read_rois(tmp_path / f"{name}.npz")


def test_every_second_voxel_of_a_line_is_a_piece(tmp_path):
    labels = np.zeros((5, 6, 12), np.int16)
    labels[2, 3, 1:10:2] = 1
    write_volume(tmp_path / "a.mrc", Volume(labels, 2.0))
    assert len(read_rois(tmp_path / "a.mrc")) == 5
