"""Contacts as pairs of membranes, against scenes in which every contact is known."""

from __future__ import annotations

import numpy as np
import pytest
from vesicle_scenes import random_cluster, three_around_one, vesicle_scene

from tomocore.roiset import RoiSet, rois_from_masks
from tomocore.volumes.volume import Volume
from tomorois.evaluation.matching import compare
from tomorois.evaluation.settings import MatchSettings
from tomorois.instances.find import find_instances
from tomorois.instances.membrane_pairs import Membranes, contact_pairs, membrane_instances
from tomorois.instances.settings import ContactSettings, InstanceSettings


def truth_of(scene) -> RoiSet:
    masks = list(scene.contacts.values())
    columns = {"membranes": list(scene.contacts)}
    return rois_from_masks(
        [(0, 0, 0)] * len(masks), masks, scene.labels.shape, scene.voxel_size_nm, columns=columns
    )


def found_in(scene, split: str, **settings) -> RoiSet:
    confidence = Volume(scene.places.astype(np.float32) * 0.9, scene.voxel_size_nm)
    chosen = InstanceSettings(split=split, closing_nm=0, **settings)
    return find_instances(confidence, chosen, Volume(scene.labels, scene.voxel_size_nm))


def whole(rois: RoiSet, row: int) -> np.ndarray:
    mask = np.zeros(rois.shape, dtype=bool)
    mask[rois.box(row)] = rois.mask(row)
    return mask


@pytest.fixture(scope="module")
def touching():
    return three_around_one()


def test_contacts_that_touch_come_apart_by_pair(touching):
    assert sorted(touching.contacts) == ["1:2", "1:3", "1:4", "2:3"]
    rois = found_in(touching, "contacts")
    assert sorted(rois.table["membranes"]) == sorted(touching.contacts)
    for row, pair in enumerate(rois.table["membranes"]):
        mask, true = whole(rois, row), touching.contacts[pair]
        assert np.count_nonzero(mask & true) > 0.9 * np.count_nonzero(mask | true)


def test_a_voxel_may_belong_to_several_contacts(touching):
    rois = found_in(touching, "contacts")
    by_pair = {pair: whole(rois, row) for row, pair in enumerate(rois.table["membranes"])}
    assert (by_pair["1:2"] & by_pair["1:3"]).any()


@pytest.mark.parametrize("absent", [3, 9])
def test_membranes_outside_the_part_looked_at_change_nothing(touching, absent):
    labels = np.where(touching.labels >= absent, touching.labels + 1, touching.labels)
    names = {int(label): str(label) for label in np.unique(labels) if label} | {absent: "elsewhere"}
    membranes = Membranes(Volume(labels, touching.voxel_size_nm), names)
    assert absent not in labels
    assert len(contact_pairs(touching.places, membranes)[0]) == len(touching.contacts)


def test_contacts_beat_watershed_on_clusters():
    found = {"contacts": 0, "watershed": 0}
    total = 0
    for seed in (0, 3):
        scene = random_cluster(seed)
        truth = truth_of(scene)
        total += len(truth)
        for split in found:
            found[split] += len(compare(found_in(scene, split), truth, MatchSettings(min_iou=0.5)).matched)
    assert total >= 15
    assert found["contacts"] >= 0.95 * total
    assert found["watershed"] <= 0.75 * total


def test_the_same_scene_at_another_voxel_size_gives_the_same_contacts_in_nm():
    fine, coarse = (found_in(three_around_one(edge), "contacts") for edge in (1.6, 2.4))
    volume = {}
    for rois in (fine, coarse):
        for row in rois.table.itertuples():
            volume.setdefault(row.membranes, []).append(row.volume_nm3)
    assert sorted(volume) == ["1:2", "1:3", "1:4", "2:3"]
    assert all(a == pytest.approx(b, rel=0.06) for a, b in volume.values())


def slabs(*heights: tuple[int, int, int], shape=(40, 40, 80)) -> np.ndarray:
    """Flat membranes, each (label, first plane, last plane)."""
    labels = np.zeros(shape, np.int16)
    for label, first, last in heights:
        labels[first : last + 1] = label
    return labels


def pairs_of(labels, places, **settings):
    chosen = ContactSettings(**settings)
    return contact_pairs(places, membrane_instances(Volume(labels, 1.0), chosen), chosen)


def test_a_membrane_between_two_others_keeps_them_apart():
    labels = slabs((1, 5, 8), (2, 14, 17), (3, 23, 26))
    places = np.ones(labels.shape, dtype=bool)
    places[:5] = places[27:] = False
    _, names, unpaired = pairs_of(labels, places, slack_nm=50.0)
    assert sorted(names) == ["1:2", "2:3"]
    assert unpaired == 0


def test_one_pair_in_contact_at_two_places_gives_two_rois():
    labels = slabs((1, 5, 8), (2, 14, 17))
    places = np.zeros(labels.shape, dtype=bool)
    places[5:18, :, :25] = places[5:18, :, 50:] = True
    pieces, names, _ = pairs_of(labels, places)
    assert names == ["1:2", "1:2"]
    assert sorted(mask.sum() for _, mask in pieces) == sorted([13 * 40 * 25, 13 * 40 * 30])


def test_places_apart_along_a_folded_membrane_stay_apart_though_they_meet_in_space():
    """Two flaps of membrane 1 face membrane 2 from either side; their ROIs meet inside it."""
    labels = slabs((1, 5, 7), (2, 14, 17), (1, 24, 26))
    labels[5:27, :, 0:3] = 1  # the fold that joins the flaps, far from the ROI
    labels[14:18, :, 0:8] = 0
    labels[5:27, :, 0:3] = 1
    places = np.zeros(labels.shape, dtype=bool)
    places[5:27, :, 40:70] = True
    pieces, names, _ = pairs_of(labels, places)
    assert names == ["1:2", "1:2"]
    boxes = sorted((box[0].start, box[0].stop) for box, _ in pieces)
    assert boxes[0][0] == 5
    assert boxes[1][1] == 27
    assert boxes[0][1] <= boxes[1][0] + 4  # apart but for membrane 2 itself


def test_a_roi_that_touches_one_membrane_only_is_no_contact():
    labels = slabs((1, 5, 8), (2, 30, 33))
    places = np.zeros(labels.shape, dtype=bool)
    places[5:14] = True
    pieces, names, unpaired = pairs_of(labels, places)
    assert (pieces, names, unpaired) == ([], [], 1.0)


def test_holes_in_a_membrane_do_not_shatter_its_contact():
    labels = slabs((1, 5, 8), (2, 14, 17))
    labels[14:18, :, 38:41] = 0  # a slit of 3 nm right through
    places = np.zeros(labels.shape, dtype=bool)
    places[5:18, :, 20:60] = True
    assert pairs_of(labels, places)[1] == ["1:2"]
    assert pairs_of(labels, places, join_nm=0.0)[1] == ["1:2", "1:2"]


def test_membranes_are_told_by_label_or_by_connected_piece():
    binary = membrane_instances(Volume(slabs((1, 5, 8), (1, 14, 17)), 1.0))
    assert binary.names == {1: "1", 2: "2"}
    assert binary.labels.data[6, 0, 0] == 1
    assert binary.labels.data[15, 0, 0] == 2
    classes = Volume(slabs((1, 5, 8), (2, 14, 17), (1, 24, 27)), 1.0)
    assert membrane_instances(classes).names == {1: "1", 2: "2"}
    split = membrane_instances(classes, ContactSettings(labels="classes"))
    assert [split.names[split.labels.data[z, 0, 0]] for z in (6, 15, 25)] == ["1.1", "2.1", "1.2"]
    dust = np.zeros((40, 40, 80), np.int16)
    dust[5:8, 5:8, 5:8] = 1
    assert membrane_instances(Volume(dust, 1.0)).names == {}


def test_no_places_and_no_membranes_give_nothing():
    labels = slabs((1, 5, 8), (2, 14, 17))
    nowhere = np.zeros(labels.shape, dtype=bool)
    assert pairs_of(labels, nowhere) == ([], [], 0.0)
    assert pairs_of(np.zeros_like(labels), ~nowhere) == ([], [], 1.0)


def test_contact_of_a_tilted_pair_off_centre():
    scene = vesicle_scene([(50, 42, 38), (98, 80, 61)], [32, 24], (140, 130, 100))
    rois = found_in(scene, "contacts")
    assert list(rois.table["membranes"]) == ["1:2"]
    assert np.array_equal(whole(rois, 0), scene.contacts["1:2"])
