"""Ranking by doubt: known entropies, thresholds, places below them, and the order of tomograms and places."""

import json

import numpy as np
import pandas as pd
import pytest

from tomocore.contract import InputError
from tomocore.roiset import rois_from_masks, write_rois_archive
from tomocore.volumes.formats import write_volume
from tomocore.volumes.volume import Volume
from tomorois.guidance.files import rank_files
from tomorois.guidance.ranking import (
    PLACE_COLUMNS,
    RankedTomogram,
    rank,
)
from tomorois.guidance.settings import RankSettings
from tomorois.prediction.doubt import entropy_bits, expected_dice, expected_dice_of_map, shifted_confidence

SHAPE = (12, 30, 40)
EDGE_NM = 2.0
ORIGIN_NM = (100.0, 0.0, -20.0)
SETTINGS = RankSettings(min_volume_nm3=27 * EDGE_NM**3)


def confidence_map(*blocks):
    """0.01 but in blocks (z, y, x of the first voxel, edge in voxels, confidence)."""
    data = np.full(SHAPE, 0.01, np.float32)
    for (z, y, x), edge, value in blocks:
        data[z : z + edge, y : y + edge, x : x + edge] = value
    return Volume(data, EDGE_NM, ORIGIN_NM)


def tomogram(name, *blocks, threshold=0.5, **more):
    return RankedTomogram(name, confidence_map(*blocks), threshold, **more)


def test_entropy_is_one_bit_at_the_threshold_and_symmetric():
    found = entropy_bits(np.array([0.5, 0.25, 0.75, 0.0, 1.0], np.float32))
    np.testing.assert_allclose(found[:3], [1.0, 0.811278, 0.811278], atol=1e-5)
    assert (found[3:] < 1e-4).all()


@pytest.mark.parametrize("threshold", [0.1, 0.5, 0.9])
def test_the_threshold_is_shifted_to_one_half_and_order_is_kept(threshold):
    given = np.array([0.0, threshold, 1.0, 0.3, 0.6], np.float32)
    shifted = shifted_confidence(given, threshold)
    np.testing.assert_allclose(shifted[:3], [0.0, 0.5, 1.0], atol=1e-6)
    assert shifted[3] < shifted[4]
    odds = threshold / (1 - threshold)
    assert shifted[3] / (1 - shifted[3]) == pytest.approx(3 / 7 / odds, rel=1e-5)


def test_expected_dice_of_known_confidences():
    assert expected_dice(np.array([1.0, 1.0, 0.0])) == 1.0
    # 2 (0.9 + 0.6) / (2 voxels called + 0.9 + 0.6 + 0.3 expected to be true)
    assert expected_dice(np.array([0.9, 0.6, 0.3])) == pytest.approx(3.0 / 3.8)
    assert expected_dice(np.array([0.4, 0.2])) == 0.0
    assert np.isnan(expected_dice(np.array([])))


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.8])
def test_what_a_map_expects_of_itself_leaves_out_what_is_hardly_possible(threshold):
    back = 1.0 - threshold  # shifting by it undoes the shift by the threshold
    confidence = shifted_confidence(np.array([0.9, 0.6, 0.3, *[0.09] * 1000], np.float32), back)
    assert expected_dice_of_map(confidence, threshold) == pytest.approx(3.0 / 3.8, rel=1e-5)
    assert np.isnan(expected_dice_of_map(confidence[3:], threshold))


def test_unsure_places_and_tomograms_come_first():
    sure = tomogram("sure", ((2, 2, 2), 5, 0.99), ((2, 20, 20), 4, 0.97))
    unsure = tomogram("unsure", ((2, 2, 2), 5, 0.95), ((2, 20, 20), 4, 0.6))
    tomograms, places = rank([sure, unsure], SETTINGS)
    assert tomograms["tomogram"].tolist() == ["unsure", "sure"]
    assert places["rank"].tolist() == [1, 2, 3, 4]
    assert places["confidence_mean"].round(2).tolist() == [0.6, 0.95, 0.97, 0.99]
    first = places.iloc[0]
    assert first["entropy_bits"] == pytest.approx(0.970951, abs=1e-5)
    assert first["near_threshold_share"] == 1
    assert first["volume_nm3"] == pytest.approx(64 * EDGE_NM**3)
    # The block's middle voxel coordinate is first + (edge - 1) / 2 along each axis.
    assert first["centroid_x_nm"] == pytest.approx(100 + 21.5 * EDGE_NM)
    assert first["centroid_z_nm"] == pytest.approx(-20 + 3.5 * EDGE_NM)
    assert tuple(places.columns) == PLACE_COLUMNS


def test_a_place_that_nearly_reached_the_threshold_is_listed_but_not_the_rim_of_one_that_did():
    item = tomogram(
        "t", ((2, 2, 2), 6, 0.4), ((3, 3, 3), 4, 0.9), ((2, 20, 20), 4, 0.4), ((2, 2, 30), 2, 0.4)
    )
    tomograms, places = rank([item], SETTINGS)
    assert places["kind"].tolist() == ["below", "roi"]
    assert places.loc[0, "volume_nm3"] == pytest.approx(64 * EDGE_NM**3)
    assert tomograms.loc[0, ["rois", "below_threshold"]].tolist() == [1, 1]
    lower = rank([RankedTomogram("t", item.confidence, 0.3)], SETTINGS)[1]
    assert lower["kind"].tolist() == ["roi", "roi"]


def test_given_rois_are_the_places_and_the_spread_is_their_mean():
    masks, starts = [np.ones((4, 4, 4), bool), np.ones((3, 3, 3), bool)], [(2, 20, 20), (2, 2, 2)]
    rois = rois_from_masks(starts, masks, SHAPE, EDGE_NM, ORIGIN_NM, {"id": [7, 9]})
    spread = np.zeros(SHAPE, np.float32)
    spread[2:6, 20:24, 20:24] = 0.25
    item = tomogram(
        "t", ((2, 20, 20), 4, 0.9), ((2, 2, 2), 5, 0.7), rois=rois, spread=Volume(spread, EDGE_NM)
    )
    places = rank([item], SETTINGS)[1].set_index("id")
    assert places.index.tolist() == [9, 7]
    assert places["kind"].tolist() == ["roi", "roi"]
    assert places.loc[7, "spread"] == pytest.approx(0.25)
    assert places.loc[9, "spread"] == 0


def test_a_tomogram_without_anything_possible_stands_last():
    tomograms, places = rank([tomogram("empty"), tomogram("t", ((2, 2, 2), 5, 0.99))], SETTINGS)
    assert tomograms["tomogram"].tolist() == ["t", "empty"]
    assert np.isnan(tomograms.loc[1, "entropy_bits"])
    assert len(places) == 1


def test_what_does_not_fit_is_refused():
    other = rois_from_masks([(0, 0, 0)], [np.ones((2, 2, 2), bool)], (9, 9, 9), EDGE_NM)
    with pytest.raises(InputError, match=r"\(9, 9, 9\)"):
        rank([tomogram("t", rois=other)])
    with pytest.raises(InputError, match="--uncertainty"):
        rank([tomogram("t", spread=Volume(np.zeros((3, 3, 3), np.float32), EDGE_NM))])
    with pytest.raises(InputError, match="nothing to rank"):
        rank([])


def test_files_are_found_by_name_with_their_model_threshold_and_uncertainty(tmp_path):
    for name, value in (("a", 0.8), ("b", 0.35)):
        write_volume(tmp_path / f"{name}__confidence.mrc", confidence_map(((2, 2, 2), 5, value)))
    (tmp_path / "b__confidence.json").write_text(json.dumps({"threshold": 0.3}))
    write_volume(tmp_path / "b__uncertainty.mrc", confidence_map(((2, 2, 2), 5, 0.125)))
    rois = rois_from_masks([(2, 2, 2)], [np.ones((5, 5, 5), bool)], SHAPE, EDGE_NM, ORIGIN_NM)
    write_rois_archive(tmp_path / "a__rois.npz", rois)
    maps = sorted(tmp_path.glob("*__confidence.mrc"))
    target = tmp_path / "ranking.csv"
    with pytest.raises(InputError, match=r"a__confidence\.mrc: the threshold of the model"):
        rank_files(maps, target, SETTINGS)
    (tmp_path / "a__confidence.json").write_text(json.dumps({"threshold": 0.5}))
    batch, ranking = rank_files(maps, target, SETTINGS, rois=[tmp_path / "a__rois.npz"])
    assert batch.done == [str(target)]
    places, tomograms = (pd.read_csv(path) for path in ranking.files)
    assert places["tomogram"].tolist() == tomograms["tomogram"].tolist() == ["b", "a"]
    assert places.loc[0, "spread"] == pytest.approx(0.125)
    assert tomograms["rois"].tolist() == [1, 1]
    again, nothing = rank_files(maps, target, SETTINGS)
    assert list(again.skipped) == [str(target)]
    assert nothing is None
    assert rank_files(maps, target, SETTINGS, threshold=0.9, overwrite=True)[1].tomograms["rois"].sum() == 0
