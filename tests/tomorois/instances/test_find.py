"""Confidence maps to ROIs: fused blobs come apart, single ones stay whole, sizes are in nm."""

from __future__ import annotations

import numpy as np
import pytest

from tomocore.contract import InputError
from tomocore.volumes.volume import Volume
from tomorois.instances.find import clean_places, find_instances
from tomorois.instances.settings import InstanceSettings

BARE = {"closing_nm": 0.0, "max_hole_nm3": 0.0, "min_volume_nm3": 0.0}


def balls(
    centres_zyx_nm: list[tuple[float, float, float]],
    radii_nm: list[float],
    size_nm: tuple[float, float, float] = (80, 90, 130),
    voxel_size_nm: float = 2.0,
    roughness: float = 0.0,
) -> np.ndarray:
    """A mask of balls, their radius varying with direction by a share."""
    grid = np.indices([round(edge / voxel_size_nm) for edge in size_nm]) * voxel_size_nm
    mask = np.zeros(grid.shape[1:], dtype=bool)
    for centre, radius in zip(centres_zyx_nm, radii_nm, strict=True):
        z, y, x = grid - np.array(centre)[:, None, None, None]
        bumps = 1 + roughness * np.sin(5 * np.arctan2(y, x)) * np.cos(4 * np.arctan2(z, np.hypot(x, y)))
        mask |= np.sqrt(x**2 + y**2 + z**2) <= radius * bumps
    return mask


def instances(mask: np.ndarray, voxel_size_nm: float = 2.0, **settings):
    confidence = Volume(np.where(mask, 0.8, 0.1).astype(np.float32), voxel_size_nm)
    return find_instances(confidence, InstanceSettings(**settings))


def test_fused_balls_come_apart_at_the_neck():
    mask = balls([(40, 45, 42), (40, 45, 84)], [24, 24])
    assert len(instances(mask, split="none")) == 1
    rois = instances(mask, split="watershed", **BARE)
    assert len(rois) == 2
    assert rois.table["volume_nm3"].sum() == pytest.approx(mask.sum() * 8)
    assert sorted(rois.table["centroid_x_nm"]) == pytest.approx([42, 84], abs=1.5)


def test_a_small_ball_fused_to_a_large_one_comes_apart():
    mask = balls([(40, 45, 45), (40, 45, 91)], [33, 16])
    assert len(instances(mask, split="watershed")) == 2


@pytest.mark.parametrize("radius", [14.0, 30.0, 36.0])
@pytest.mark.parametrize("roughness", [0.0, 0.12, 0.2])
def test_one_blob_stays_whole_at_any_size_and_roughness(radius, roughness):
    assert len(instances(balls([(40, 45, 60)], [radius], roughness=roughness), split="watershed")) == 1


def test_a_flat_place_with_a_ragged_rim_stays_whole():
    _, y, x = np.indices((40, 60, 60))
    angle, reach = np.arctan2(y - 30, x - 30), np.hypot(y - 30, x - 30)
    sheet = np.zeros((40, 60, 60), dtype=bool)
    sheet[15:22] = (reach <= 20 + 4 * np.sin(7 * angle))[15:22]
    noise = np.random.default_rng(1).random(sheet.shape) < 0.1
    sheet[14] = sheet[15] & noise[14]
    sheet[22] = sheet[21] & noise[22]
    assert len(instances(sheet, split="watershed")) == 1


def test_neck_and_seed_distance_say_how_eagerly_to_cut():
    mask = balls([(40, 45, 45), (40, 45, 75)], [24, 24])  # neck of 0.78 times the width
    assert len(instances(mask, split="watershed", neck=0.7)) == 1
    assert len(instances(mask, split="watershed", neck=0.9)) == 2
    assert len(instances(mask, split="watershed", neck=0.9, seed_distance_nm=40)) == 1


def test_the_same_geometry_at_another_voxel_size_gives_the_same_rois_in_nm():
    centres, radii = [(40.0, 45.0, 42.0), (40.0, 45.0, 84.0), (15.0, 15.0, 110.0)], [24.0, 24.0, 7.0]
    tables = []
    for edge in (1.0, 2.0):
        mask = balls(centres, radii, voxel_size_nm=edge)
        rois = instances(mask, edge, split="watershed", min_volume_nm3=3000, opening_nm=3, closing_nm=4)
        tables.append(rois.table.sort_values("centroid_x_nm"))
    assert len(tables[0]) == len(tables[1]) == 2  # the smallest ball, 1440 nm³, is left out by both
    assert np.allclose(tables[0]["volume_nm3"], tables[1]["volume_nm3"], rtol=0.05)
    assert np.allclose(tables[0]["centroid_x_nm"], tables[1]["centroid_x_nm"], atol=1.0)


def test_opening_closing_and_holes():
    settings = InstanceSettings(opening_nm=3, closing_nm=0, max_hole_nm3=0)
    speck = balls([(40, 45, 40)], [20], voxel_size_nm=1.0)
    bridge = speck.copy()
    bridge[39:41, 44:46, 60:100] = True
    assert not clean_places(bridge, 1.0, settings)[:, :, 66:].any()
    assert clean_places(speck, 1.0, settings).sum() == pytest.approx(speck.sum(), rel=0.02)

    slit = speck.copy()
    slit[:, :, 40:42] = False
    closed = clean_places(slit, 1.0, InstanceSettings(opening_nm=0, closing_nm=2, max_hole_nm3=0))
    assert closed[40, 45, 40:42].all()
    assert not closed[~balls([(40, 45, 40)], [22], voxel_size_nm=1.0)].any()

    hollow = speck & ~balls([(40, 45, 40)], [6], voxel_size_nm=1.0)
    for limit, filled in ((800.0, False), (1000.0, True)):  # the hole has 925 nm³
        clean = clean_places(hollow, 1.0, InstanceSettings(opening_nm=0, closing_nm=0, max_hole_nm3=limit))
        assert clean[40, 45, 40] == filled


def test_a_blob_cut_by_the_tomograms_edge_is_not_worn_away_there():
    mask = balls([(0, 45, 60)], [25])
    rois = instances(mask, split="watershed", opening_nm=6, closing_nm=6, max_hole_nm3=0)
    assert len(rois) == 1
    assert rois.boxes[0, 0, 0] == 0
    assert rois.table["volume_nm3"][0] == pytest.approx(mask.sum() * 8, rel=0.03)


def test_rois_are_numbered_by_confidence():
    values = np.full((40, 45, 65), 0.1, np.float32)
    for (z, y, x), confidence in (((12, 12, 12), 0.7), ((12, 30, 50), 0.95), ((30, 12, 50), 0.8)):
        values[z - 6 : z + 6, y - 6 : y + 6, x - 6 : x + 6] = confidence
        values[z, y, x] = confidence + 0.04
    rois = find_instances(Volume(values, 2.0, (100.0, 0.0, 0.0)))
    assert rois.ids.tolist() == [1, 2, 3]
    assert rois.table["confidence_mean"].tolist() == pytest.approx([0.95, 0.8, 0.7], abs=1e-3)
    assert rois.table["confidence_max"].tolist() == pytest.approx([0.99, 0.84, 0.74])
    assert rois.table["centroid_x_nm"].tolist() == pytest.approx([199, 199, 123])
    assert find_instances(Volume(values, 2.0), InstanceSettings(min_peak=0.8)).ids.tolist() == [1, 2]


def test_smoothing_removes_single_bright_voxels():
    values = np.zeros((40, 40, 40), np.float32)
    values[::8, ::8, ::8] = 1.0
    values[10:25, 10:25, 10:25] = 0.9
    bare = {"min_volume_nm3": 0.0, "closing_nm": 0.0}
    assert len(find_instances(Volume(values, 1.0), InstanceSettings(**bare))) > 1
    assert len(find_instances(Volume(values, 1.0), InstanceSettings(smoothing_nm=2.0, **bare))) == 1


@pytest.mark.parametrize(
    ("value", "settings", "cause"),
    [
        (0.3, {}, "highest confidence is 0.3, below the threshold 0.5"),
        (0.8, {"min_volume_nm3": 1e6}, "largest of 1 places has 6.4e"),
        (0.8, {"opening_nm": 50.0}, "opening removed every voxel"),
        (0.8, {"min_peak": 0.9}, "min_peak = 0.9"),
    ],
)
def test_an_empty_result_names_its_cause(value, settings, cause, caplog):
    values = np.full((40, 40, 40), 0.1, np.float32)
    values[10:30, 10:30, 10:30] = value
    rois = find_instances(Volume(values, 2.0), InstanceSettings(**settings))
    assert len(rois) == 0
    assert cause in caplog.text


@pytest.mark.parametrize(("around", "unsure"), [(0.3, True), (0.05, False)])
def test_rois_of_a_map_that_the_network_doubts_come_with_a_warning(around, unsure, caplog):
    values = np.full((40, 40, 40), 0.01, np.float32)
    values[5:35, 5:35, 5:35] = around
    values[14:26, 14:26, 14:26] = 0.8
    assert len(find_instances(Volume(values, 2.0))) == 1
    assert ("the network is unsure here (it expects a Dice of 0.26" in caplog.text) == unsure
    assert ("unsure" in caplog.text) == unsure


def test_contacts_without_a_membrane_nearby_say_so(caplog):
    values = np.full((40, 40, 40), 0.9, np.float32)
    rois = find_instances(
        Volume(values, 2.0), InstanceSettings(split="contacts"), Volume(np.zeros((40, 40, 40), np.int8), 2.0)
    )
    assert len(rois) == 0
    assert "between two membranes" in caplog.text


def test_what_is_no_confidence_map_is_refused():
    values = np.full((10, 10, 10), 0.5, np.float32)
    with pytest.raises(InputError, match="0 to 1"):
        find_instances(Volume(values * 9, 2.0))
    with pytest.raises(InputError, match="--membranes"):
        find_instances(Volume(values, 2.0), InstanceSettings(split="contacts"))
    with pytest.raises(InputError, match="same binning"):
        find_instances(Volume(values, 2.0), membranes=Volume(np.zeros((5, 5, 5), np.int8), 4.0))
    values[2, 3, 4] = np.nan
    with pytest.raises(InputError, match="NaN"):
        find_instances(Volume(values, 2.0))
