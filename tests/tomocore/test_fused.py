"""Membranes that touch in a mask come apart; single membranes stay whole however bent."""

from __future__ import annotations

import numpy as np
import pytest
import shapes
from scipy.optimize import linear_sum_assignment
from vesicle_scenes import random_cluster, vesicle_scene

from tomocore.fused import separate_fused
from tomocore.fused_settings import FusedSettings
from tomocore.volumes.volume import Volume
from tomorois.instances.find import find_instances
from tomorois.instances.membrane_pairs import membrane_instances
from tomorois.instances.settings import InstanceSettings

MIN_NM3 = 2000.0


def share_right(labels: np.ndarray, found: np.ndarray) -> float:
    """Share of the membrane voxels on the right membrane, under the best one-to-one naming."""
    table = np.zeros((labels.max() + 1, found.max() + 1))
    np.add.at(table, (labels[labels > 0], found[labels > 0]), 1)
    rows, columns = linear_sum_assignment(table[1:, 1:], maximize=True)
    return float(table[1:, 1:][rows, columns].sum() / np.count_nonzero(labels))


@pytest.mark.parametrize(("voxel_size_nm", "open_deg", "seed"), [(2.5, 0, 1), (2.0, 30, 2), (1.6, 30, 3)])
def test_touching_vesicles_come_apart(voxel_size_nm, open_deg, seed):
    scene = random_cluster(seed, 5, voxel_size_nm, (-3.5, 1.0), open_deg)
    mask = scene.labels > 0
    assert separate_fused(mask, voxel_size_nm, MIN_NM3, FusedSettings(separate=False)).max() < 5
    found = separate_fused(mask, voxel_size_nm, MIN_NM3)
    assert found.max() == 5
    assert share_right(scene.labels, found) > 0.99
    assert np.array_equal(found > 0, mask)


def test_a_rough_mask_comes_apart_too():
    scene = random_cluster(1, 5, 2.0, (-3.5, 1.0))
    rough = shapes.with_noise(scene.labels > 0, seed=1, fraction=0.1)
    found = separate_fused(rough, 2.0, MIN_NM3)
    assert share_right(np.where(rough, scene.labels, 0), found) > 0.98


@pytest.mark.parametrize(
    "name", ["invaginated_vesicle", "branching_sheets", "torus", "catenoid", "wavy_sheet"]
)
def test_a_single_membrane_stays_whole_however_bent(name):
    mask, _ = getattr(shapes, name)().voxelise(1.5, 5.0)
    assert separate_fused(mask, 1.5, 500.0).max() == 1


def test_a_cut_through_a_neck_is_taken_back():
    """Without the look at how the cut lies, the bud would be cut off."""
    mask, _ = shapes.invaginated_vesicle().voxelise(1.5, 5.0)
    assert separate_fused(mask, 1.5, 500.0, FusedSettings(min_alignment=0.0)).max() == 2


def test_membranes_that_do_not_touch_are_the_connected_pieces():
    scene = vesicle_scene([(50, 50, 50), (50, 50, 125)], [34, 30], (100, 100, 170))
    found = separate_fused(scene.labels > 0, 2.0, MIN_NM3)
    assert share_right(scene.labels, found) == 1.0
    small = separate_fused(scene.labels > 0, 2.0, 65000.0)  # the smaller has 56,700 nm³
    assert small.max() == 1
    assert not small[scene.labels == 2].any()


def test_an_empty_mask_has_no_membranes():
    assert not separate_fused(np.zeros((5, 6, 7), dtype=bool), 2.0, MIN_NM3).any()


def test_contacts_of_membranes_fused_in_the_mask_are_found():
    """Three vesicles in a row, fused where they touch: one connected piece, two contacts."""
    scene = vesicle_scene([(45, 50, 50), (112, 50, 50), (176, 50, 50)], [35, 30, 32], (220, 100, 100))
    membranes = membrane_instances(Volume((scene.labels > 0).astype(np.int8), 2.0))
    name = {row: membranes.names[membranes.labels.data[scene.labels == row][0]] for row in (1, 2, 3)}
    confidence = Volume(scene.places.astype(np.float32) * 0.9, 2.0)
    rois = find_instances(confidence, InstanceSettings(split="contacts"), membranes)
    expected = {frozenset((name[1], name[2])), frozenset((name[2], name[3]))}
    assert {frozenset(pair.split(":")) for pair in rois.table["membranes"]} == expected
