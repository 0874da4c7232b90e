"""Matching against cases counted by hand, and against every possible pairing."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from tomocore.contract import InputError
from tomocore.roiset import RoiSet, rois_from_masks
from tomocore.volumes.volume import Volume
from tomorois.evaluation.matching import compare, match_by_iou, tilt_deg
from tomorois.evaluation.settings import MatchSettings

SHAPE = (12, 12, 60)


def cubes(*spans: tuple[int, int], voxel_size_nm: float = 2.0, status: list[str] | None = None) -> RoiSet:
    """ROIs that are bars of 10 × 10 voxels along x, from each first to last column (one past)."""
    masks = [np.ones((10, 10, last - first), dtype=bool) for first, last in spans]
    columns = {} if status is None else {"status": status}
    return rois_from_masks(
        [(1, 1, first) for first, _ in spans], masks, SHAPE, voxel_size_nm, columns=columns
    )


def test_counts_overlaps_and_volumes_by_hand():
    truth = cubes((2, 12), (20, 30), (40, 50))
    predicted = cubes((4, 14), (20, 30), (54, 58))  # IoU 8/12, 1, and one in the void
    result = compare(predicted, truth, name="a")
    assert result.matched.tolist() == [[0, 0], [1, 1]]
    assert result.iou.tolist() == pytest.approx([8 / 12, 1.0])
    assert result.dice.tolist() == pytest.approx([16 / 20, 1.0])
    assert (result.false.tolist(), result.missed.tolist(), result.forgiven) == ([2], [2], 0)
    assert (len(result.splits), len(result.merges)) == (0, 0)
    layer = 100 * 8.0  # voxels of a column of bars, times nm³ a voxel
    assert (result.shared_nm3, result.predicted_nm3, result.truth_nm3) == (18 * layer, 24 * layer, 30 * layer)


def test_a_pair_below_the_least_iou_is_a_miss_and_a_false_positive():
    truth, predicted = cubes((0, 10)), cubes((7, 17))  # IoU 3/17 = 0.176
    assert len(compare(predicted, truth, MatchSettings(min_iou=0.17)).matched) == 1
    missed = compare(predicted, truth, MatchSettings(min_iou=0.18))
    assert (len(missed.matched), len(missed.false), len(missed.missed)) == (0, 1, 1)


def test_matching_is_one_to_one_and_of_the_greatest_sum():
    truth = cubes((0, 10), (10, 20))
    predicted = cubes((3, 13), (0, 8))  # 0-0: 7/13, 0-1: 3/17, 1-0: 8/10
    settings = MatchSettings(min_iou=0.1)
    assert sorted(compare(predicted, truth, settings).matched.tolist()) == [[0, 1], [1, 0]]


def test_matching_equals_the_best_of_all_pairings():
    rng = np.random.default_rng(0)
    for _ in range(30):
        iou = rng.random((4, 5)) * (rng.random((4, 5)) < 0.6)
        allowed = np.where(iou >= 0.25, iou, 0)
        best = max(
            sum(allowed[row, column] for row, column in enumerate(p)) for p in permutations(range(5), 4)
        )
        matched = match_by_iou(iou, 0.25)
        assert iou[matched[:, 0], matched[:, 1]].sum() == pytest.approx(best)
        assert (iou[matched[:, 0], matched[:, 1]] >= 0.25).all()
        assert len(set(matched[:, 0])) == len(set(matched[:, 1])) == len(matched)


def test_a_split_is_one_true_roi_in_two_pieces():
    result = compare(cubes((0, 12), (12, 20)), cubes((0, 20)))
    assert (result.splits.tolist(), result.merges.tolist()) == ([0], [])
    assert (len(result.matched), len(result.false), len(result.missed)) == (1, 1, 0)


def test_a_merge_is_two_true_rois_in_one_piece():
    result = compare(cubes((0, 20)), cubes((0, 12), (12, 20)))
    assert (result.splits.tolist(), result.merges.tolist()) == ([], [0])
    assert (len(result.matched), len(result.false), len(result.missed)) == (1, 0, 1)


def test_rois_that_overlap_by_nature_are_neither_split_nor_merge():
    overlapping = cubes((0, 20), (6, 20))
    result = compare(overlapping, overlapping)
    assert (len(result.matched), len(result.splits), len(result.merges)) == (2, 0, 0)
    assert result.iou.tolist() == [1.0, 1.0]
    assert result.shared_nm3 == result.truth_nm3 == 20 * 100 * 8.0  # voxels in both ROIs are counted once


def test_rejected_predictions_are_left_out():
    predicted = cubes((0, 10), (30, 40), status=["kept", "rejected"])
    result = compare(predicted, cubes((0, 10)))
    assert (len(result.matched), len(result.false)) == (1, 0)
    assert result.predicted_ids.tolist() == [1]


@pytest.mark.parametrize(
    ("edge", "edge_nm", "counted"), [("count", 0, 2), ("forgive", 0, 1), ("forgive", 2, 0)]
)
def test_rois_cut_by_the_edge(edge, edge_nm, counted):
    """One false positive touches the edge, one lies 2 nm from it (as all do in z); likewise the misses."""
    truth, predicted = cubes((20, 30), (35, 45), (50, 60)), cubes((20, 30), (0, 7), (10, 17))
    result = compare(predicted, truth, MatchSettings(edge=edge, edge_nm=edge_nm))
    assert (len(result.matched), len(result.false), len(result.missed)) == (1, counted, counted)
    assert result.forgiven == 2 * (2 - counted)


def test_ignored_voxels_are_not_judged():
    ignored = np.zeros(SHAPE, dtype=bool)
    ignored[:, :, 36:] = True
    predicted, truth = cubes((0, 10), (34, 44), (30, 38)), cubes((0, 10))
    result = compare(predicted, truth, ignored=Volume(ignored, 2.0))
    assert result.false.tolist() == [2]  # a quarter of it is ignored, of the other four fifths
    assert result.forgiven == 1
    assert result.predicted_nm3 == (10 + 6) * 100 * 8.0


def test_nothing_predicted_and_nothing_true():
    none = cubes()
    missed = compare(none, cubes((0, 10)))
    assert (len(missed.matched), len(missed.false), len(missed.missed)) == (0, 0, 1)
    false = compare(cubes((0, 10)), none)
    assert (len(false.matched), len(false.false), len(false.missed)) == (0, 1, 0)


def test_other_grids_are_refused():
    other = rois_from_masks([(0, 0, 0)], [np.ones((2, 2, 2), bool)], (6, 6, 30), 4.0)
    with pytest.raises(InputError, match=r"tomo7.*same binning"):
        compare(other, cubes((0, 10)), name="tomo7")
    with pytest.raises(InputError, match="--voxel-size"):
        compare(cubes((0, 10), voxel_size_nm=2.5), cubes((0, 10)))


@pytest.mark.parametrize("offset_nm", [4.0, 10.0, 17.0])
def test_dice_of_two_offset_spheres_follows_the_formula(offset_nm):
    """The lens of two spheres of radius r at distance d has the volume π (4r + d)(2r − d)² / 12."""
    radius = 15.0
    grid = np.indices((45, 45, 65)) * 0.8
    balls = [
        np.linalg.norm(grid - np.array([17.6, 18.1, x])[:, None, None, None], axis=0) <= radius
        for x in (17.3, 17.3 + offset_nm)
    ]
    one, other = (rois_from_masks([(0, 0, 0)], [ball], (45, 45, 65), 0.8) for ball in balls)
    result = compare(one, other, MatchSettings(min_iou=0.01))
    lens = np.pi * (4 * radius + offset_nm) * (2 * radius - offset_nm) ** 2 / 12
    expected = lens / (4 / 3 * np.pi * radius**3)
    assert result.dice[0] == pytest.approx(expected, abs=0.004)
    pooled = 2 * result.shared_nm3 / (result.predicted_nm3 + result.truth_nm3)
    assert pooled == pytest.approx(result.dice[0], rel=1e-9)


@pytest.mark.parametrize("angle_deg", [0.0, 25.0, 60.0, 90.0])
def test_tilt_is_the_angle_of_a_flat_roi_to_the_xy_plane(angle_deg):
    angle = np.radians(angle_deg)
    grid = np.indices((60, 60, 60)) - np.array([30.3, 29.6, 30.1])[:, None, None, None]
    normal = np.array([np.cos(angle), np.sin(angle) * 0.6, np.sin(angle) * 0.8])  # z, y, x
    height = np.tensordot(normal, grid, axes=1)
    disc = (np.abs(height) <= 3) & (np.linalg.norm(grid, axis=0) <= 20)
    rois = rois_from_masks([(0, 0, 0)], [disc], disc.shape, 1.3)
    assert tilt_deg(rois)[0] == pytest.approx(angle_deg, abs=0.5)


def test_a_ball_has_no_tilt_and_a_single_plane_has_one():
    grid = np.indices((30, 30, 30)) - 15
    ball = np.linalg.norm(grid, axis=0) <= 9
    plane = np.zeros((30, 30, 30), dtype=bool)
    plane[5, 3:20, 4:25] = True
    rois = rois_from_masks([(0, 0, 0)] * 2, [ball, plane], ball.shape, 1.0)
    tilts = tilt_deg(rois, min_flatness=0.3)
    assert np.isnan(tilts[0])
    assert tilts[1] == pytest.approx(0.0)
