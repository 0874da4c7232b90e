"""Which membranes a mask holds: by label, within ROIs, and what is refused."""

import logging
from dataclasses import replace

import numpy as np
import pytest

from surfora.masks.membranes import (
    known_sides,
    membranes_in,
    parsed_labels,
    parsed_lumen,
    parsed_pair,
    sampled_points,
)
from surfora.masks.settings import RoiSettings
from surfora.medial.points import medial_points
from surfora.orientation.oriented import oriented_cloud
from surfora.orientation.settings import OrientSettings
from tomocore.contract import InputError
from tomocore.roiset import rois_from_masks, write_rois_archive
from tomocore.volumes.formats import write_volume
from tomocore.volumes.volume import Volume

EDGE_NM = 2.0
ORIGIN_NM = (10.0, 20.0, 30.0)
SHAPE = (20, 24, 28)


def write(path, data, edge_nm=EDGE_NM):
    write_volume(path, Volume(data, edge_nm, ORIGIN_NM))
    return path


def sheets():
    """Two sheets across the volume, labels 1 and 3, five voxels apart in z."""
    data = np.zeros(SHAPE, np.int16)
    data[5:8, 2:22, 3:25] = 1
    data[13:16, 2:22, 3:25] = 3
    return data


def roi_around(path, box, membranes=""):
    mask = np.ones([axis.stop - axis.start for axis in box], bool)
    start = [axis.start for axis in box]
    rois = rois_from_masks([start], [mask], SHAPE, EDGE_NM, ORIGIN_NM, {"id": [7], "membranes": [membranes]})
    write_rois_archive(path, rois)
    return path


@pytest.mark.parametrize("value", [1, 255])
def test_a_binary_mask_is_one_membrane_named_after_its_file(tmp_path, value):
    data = (sheets() == 1).astype(np.int16) * value
    (membrane,) = membranes_in(write(tmp_path / "a.b.mrc", data))
    assert membrane.name == "a.b"
    assert membrane.foreign is None
    assert membrane.mask.sum() == (data > 0).sum()


def test_a_crop_stays_where_it_was_in_the_world(tmp_path):
    (membrane,) = membranes_in(write(tmp_path / "a.mrc", (sheets() == 3).astype(np.int8)))
    corner = np.argwhere(membrane.mask).min(axis=0)
    np.testing.assert_allclose(
        membrane.support.world([corner])[0], [10 + 3 * EDGE_NM, 20 + 2 * EDGE_NM, 30 + 13 * EDGE_NM]
    )


def test_every_label_is_a_membrane_and_sees_the_others_as_foreign(tmp_path):
    one, three = membranes_in(write(tmp_path / "a.mrc", sheets()))
    assert (one.name, three.name) == ("a_1", "a_3")
    assert not (one.mask & one.foreign).any()
    (named,) = membranes_in(write(tmp_path / "a.mrc", sheets()), {3: "ER"})
    assert named.name == "a_ER"
    np.testing.assert_array_equal(named.foreign, three.foreign)  # whichever labels are asked for beside it


@pytest.mark.parametrize(("value", "dtype"), [(255, np.uint8), (65535, np.uint16), (254, np.uint8)])
def test_a_value_that_may_mean_not_sure_is_measured_and_told(tmp_path, caplog, value, dtype):
    data = sheets().astype(dtype)
    data[data == 3] = value
    path = write(tmp_path / "a.mrc", data)
    assert len(membranes_in(path)) == 2
    assert (f"label {value} is measured like the others" in caplog.text) == (value != 254)
    caplog.clear()
    membranes_in(path, {1: "OMM", value: "ER"})
    assert "measured like" not in caplog.text


def test_large_labels_in_real_numbers_stay_apart(tmp_path):
    data = sheets().astype(np.float32)
    data[data == 1], data[data == 3] = 3e9, 4e9
    assert [m.label for m in membranes_in(write(tmp_path / "a.mrc", data))] == ["3000000000", "4000000000"]
    data[data == 4e9] = 1e30
    with pytest.raises(InputError, match="holds numbers that no label has"):
        membranes_in(write(tmp_path / "a.mrc", data))


def test_a_named_label_that_is_missing_is_said(tmp_path, caplog):
    path = write(tmp_path / "a.mrc", sheets())
    with caplog.at_level(logging.WARNING):
        found = membranes_in(path, {1: "OMM", 2: "IMM"})
    assert [m.label for m in found] == ["OMM"]
    assert "label 2 (IMM) has no voxel" in caplog.text
    with pytest.raises(InputError, match="none of the labels"):
        membranes_in(path, {5: "X"})


def test_rois_cut_both_membranes_with_a_margin_and_a_kept_part(tmp_path):
    path = write(tmp_path / "a.mrc", sheets())
    box = (slice(4, 17), slice(8, 14), slice(9, 16))
    settings = RoiSettings(dilation_nm=2.0, margin_nm=6.0, min_membrane_nm3=1.0)
    found = membranes_in(path, None, roi_around(tmp_path / "r.npz", box), settings=settings)
    assert [m.name for m in found] == ["a_1_roi007", "a_3_roi007"]
    first = found[0]
    assert first.mask.shape == (20, 14, 15)  # 3 + 1 voxels beyond the ROI, cut at the volume's edge
    assert first.kept.sum() == np.prod([13, 6, 7])
    assert first.kept_beyond_nm == 2.0
    assert (first.mask & ~first.kept).any()


def test_an_roi_that_names_its_membranes_gets_no_others(tmp_path):
    box = (slice(4, 17), slice(8, 14), slice(9, 16))
    rois = roi_around(tmp_path / "r.npz", box, "3:4")
    found = membranes_in(write(tmp_path / "a.mrc", sheets()), None, rois)
    assert [m.label for m in found] == ["3"]


@pytest.mark.parametrize("lost", ["mask", "rois"])
def test_a_place_that_a_program_dropped_is_taken_from_the_other_file(tmp_path, caplog, lost):
    places = {"mask": ORIGIN_NM, "rois": ORIGIN_NM, lost: (0.0, 0.0, 0.0)}
    write_volume(tmp_path / "m.mrc", Volume(sheets(), EDGE_NM, places["mask"]))
    rois = rois_from_masks([(4, 8, 8)], [np.ones((5, 9, 9), bool)], SHAPE, EDGE_NM, places["rois"])
    write_rois_archive(tmp_path / "r.npz", rois)
    here, lost_one = membranes_in(tmp_path / "m.mrc", None, tmp_path / "r.npz"), caplog.text
    write_volume(tmp_path / "m.mrc", Volume(sheets(), EDGE_NM, ORIGIN_NM))
    write_rois_archive(tmp_path / "r.npz", replace(rois, origin_nm=ORIGIN_NM))
    both = membranes_in(tmp_path / "m.mrc", None, tmp_path / "r.npz")
    assert "give different places" in lost_one
    np.testing.assert_allclose([m.origin_nm for m in here], [m.origin_nm for m in both])
    elsewhere = rois_from_masks([(4, 8, 8)], [np.ones((5, 9, 9), bool)], SHAPE, EDGE_NM, (1.0, 2.0, 3.0))
    write_rois_archive(tmp_path / "r.npz", elsewhere)
    with pytest.raises(InputError, match="another place"):
        membranes_in(tmp_path / "m.mrc", None, tmp_path / "r.npz")


def test_rois_of_another_tomogram_are_refused(tmp_path):
    path = write(tmp_path / "a.mrc", np.ones((4, 5, 6), np.int8))
    rois = roi_around(tmp_path / "r.npz", (slice(0, 2), slice(0, 2), slice(0, 2)))
    with pytest.raises(InputError, match="same tomogram"):
        membranes_in(path, None, rois)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (np.zeros((3, 4, 5), np.int8), "empty"),
        (np.full((3, 4, 5), np.nan, np.float32), "NaN"),
        (np.linspace(0, 1, 60, dtype=np.float32).reshape(3, 4, 5), "a.mrc --threshold 0.5 -o a_mask.mrc"),
    ],
)
def test_what_is_no_mask_is_refused(tmp_path, data, reason):
    with pytest.raises(InputError, match=reason):
        membranes_in(write(tmp_path / "a.mrc", data))


def test_negative_labels_are_told_as_such_with_no_threshold_that_would_take_the_background(tmp_path):
    with pytest.raises(InputError, match=r"has the labels -2, which are negative") as refused:
        membranes_in(write(tmp_path / "a.mrc", np.where(sheets() == 1, -2, sheets()).astype(np.int16)))
    assert "threshold" not in str(refused.value)


def test_labels_and_pairs_are_parsed():
    assert parsed_labels("1=OMM, 2=IMM") == {1: "OMM", 2: "IMM"}
    assert parsed_pair("OMM:ER") == ("OMM", "ER")
    for text in ("OMM", "1=", "x=OMM", "1=A,2=A", "1=A,1=B"):
        with pytest.raises(InputError, match="--labels"):
            parsed_labels(text)
    assert parsed_pair("ER:ER") == ("ER", "ER")  # its contacts with itself
    for text in ("OMM", "OMM:"):
        with pytest.raises(InputError, match="--distances"):
            parsed_pair(text)
    with pytest.raises(InputError, match="--inside"):
        parsed_pair("ER:ER", "--inside")


def mean_normal_z(membrane):
    cloud = medial_points(membrane.mask, membrane.voxel_size_nm, membrane.origin_nm)
    return oriented_cloud(cloud, OrientSettings(), membrane.known_side)[0].normals[:, 2].mean()


@pytest.mark.parametrize("inner", ["1", "3"])
def test_flat_membranes_point_outward_where_one_is_known_to_lie_inside_the_other(tmp_path, inner):
    outer = "3" if inner == "1" else "1"
    up = 1 if inner == "1" else -1  # label 3 lies above label 1
    found = membranes_in(write(tmp_path / "a.mrc", sheets()))
    points = {membrane.name: sampled_points(membrane) for membrane in found}
    sides = known_sides(found, [(inner, outer)], points=points)
    membranes = [replace(membrane, known_side=sides[membrane.name]) for membrane in found]
    assert [membrane.known_side.side for membrane in membranes] == [
        "partner_toward" if membrane.label == inner else "partner_away" for membrane in membranes
    ]
    assert all(mean_normal_z(membrane) * up > 0.95 for membrane in membranes)


@pytest.mark.parametrize(("z_nm", "up"), [(0.0, 1), (100.0, -1)])
def test_normals_point_away_from_a_place_inside(tmp_path, z_nm, up):
    found = membranes_in(write(tmp_path / "a.mrc", sheets()))
    sides = known_sides(found, lumens=dict([parsed_lumen(f"1=35,45,{z_nm}")]))
    assert list(sides) == ["a_1"]
    assert mean_normal_z(replace(found[0], known_side=sides["a_1"])) * up > 0.95


def test_names_that_no_membrane_has_are_refused(tmp_path):
    found = membranes_in(write(tmp_path / "a.mrc", sheets()))
    with pytest.raises(InputError, match="--inside 1:4: no two such membranes; there are 1, 3"):
        known_sides(found, [("1", "4")])
    with pytest.raises(InputError, match="--lumen 4: no such membrane"):
        known_sides(found, lumens={"4": (0, 0, 0)})
    with pytest.raises(InputError, match="not NAME=X,Y,Z"):
        parsed_lumen("1=3,4")
