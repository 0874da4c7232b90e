"""The sampler: where patches lie, how often each ROI is seen, and that draws need no memory."""

import numpy as np
import pytest

from tomorois.training.patches import PatchSampler, TrainingVolume, group_voxels, patch_shape

SHAPE = (8, 8, 8)


def volume(shape=(20, 30, 40), rois=None, penalties=None, weight=None, image=None):
    """A training volume with numbered ROIs and penalties."""
    nothing = np.zeros(shape, np.int32)
    image = np.zeros(shape) if image is None else image
    return TrainingVolume(
        "made",
        image[None].astype(np.float16),
        (nothing if rois is None else rois > 0).astype(np.float16),
        (np.ones(shape) if weight is None else weight).astype(np.float16),
        group_voxels(nothing if rois is None else rois),
        group_voxels(nothing if penalties is None else penalties),
    )


@pytest.fixture
def rois():
    """One small ROI of 1 voxel, one large of 500."""
    numbered = np.zeros((20, 30, 40), np.int32)
    numbered[4, 5, 6] = 1
    numbered[10:15, 15:25, 25:35] = 2
    return numbered


def drawn(sampler, steps=1500):
    return [sampler.places(step, 1)[0][0] for step in range(steps)]


def test_voxels_are_grouped_and_binned(rois):
    groups = group_voxels(rois)
    assert len(groups) == 2
    assert groups.voxels[: groups.starts[1]].tolist() == [[4, 5, 6]]
    assert groups.starts.tolist() == [0, 1, 501]
    binned = group_voxels(rois, 2)
    assert binned.voxels[0].tolist() == [2, 2, 3]
    assert binned.starts.tolist() == [0, 1, 1 + 3 * 6 * 6]
    assert len(group_voxels(np.zeros((3, 3, 3), int))) == 0


def test_half_of_the_patches_are_on_rois_and_small_rois_as_often_as_large(rois):
    places = drawn(PatchSampler([volume(rois=rois)], SHAPE, roi_fraction=0.5))
    on_roi = [place for place in places if place.kind == "roi"]
    assert len(on_roi) / len(places) == pytest.approx(0.5, abs=0.04)
    small = sum(rois[place.box].max() == 1 for place in on_roi)
    assert small / len(on_roi) == pytest.approx(0.5, abs=0.06)
    assert all(rois[place.box].any() for place in on_roi)


def test_rois_are_at_the_centre_where_there_is_room(rois):
    sampler = PatchSampler([volume(rois=rois == 2)], SHAPE, roi_fraction=1.0)
    for place in drawn(sampler, 100):
        centre = tuple(np.array(place.start) + 4)
        assert rois[centre] == 2


def test_patches_never_reach_outside(rois):
    sampler = PatchSampler([volume(rois=rois), volume(shape=(9, 50, 11))], SHAPE)
    for place in drawn(sampler, 400):
        for start, edge, size in zip(place.start, SHAPE, sampler.volumes[place.volume].shape, strict=True):
            assert 0 <= start <= size - edge


def test_draws_follow_from_seed_and_step_alone(rois):
    first = PatchSampler([volume(rois=rois)], SHAPE, seed=3)
    second = PatchSampler([volume(rois=rois)], SHAPE, seed=3)
    second.places(0, 4)
    for (a, rng_a), (b, rng_b) in zip(first.places(77, 3), second.places(77, 3), strict=True):
        assert a == b
        assert rng_a.random() == rng_b.random()
    assert drawn(first, 30) != drawn(PatchSampler([volume(rois=rois)], SHAPE, seed=4), 30)


def test_volumes_are_seen_by_their_size_without_rois():
    sampler = PatchSampler([volume(), volume(shape=(20, 30, 80))], SHAPE)
    share = np.mean([place.volume for place in drawn(sampler)])
    assert share == pytest.approx(2 / 3, abs=0.04)


def test_every_voxel_is_seen_about_equally_away_from_the_edges():
    seen = np.zeros((20, 20, 20))
    for place in drawn(PatchSampler([volume(shape=(20, 20, 20))], SHAPE), 4000):
        seen[place.box] += 1
    middle = seen[8:12, 8:12, 8:12]
    assert middle.min() > 0.8 * middle.max()


def test_sparse_annotation_is_where_patches_are_drawn():
    weight = np.zeros((20, 30, 40))
    weight[3:5, 20:24, 30:36] = 1
    for place in drawn(PatchSampler([volume(weight=weight)], SHAPE), 60):
        assert weight[place.box].any()


def test_rejected_regions_are_sampled_on_purpose(rois):
    penalties = np.zeros_like(rois)
    penalties[2:6, 25:29, 3:8] = 1
    sampler = PatchSampler(
        [volume(rois=rois, penalties=penalties)], SHAPE, roi_fraction=0.5, penalty_fraction=0.2
    )
    places = drawn(sampler)
    share = np.mean([place.kind == "penalty" for place in places])
    assert share == pytest.approx(0.2, abs=0.03)
    assert all(penalties[place.box].any() for place in places if place.kind == "penalty")
    without = PatchSampler([volume(rois=rois)], SHAPE, penalty_fraction=0.2)
    assert {place.kind for place in drawn(without, 200)} == {"roi", "anywhere"}


def test_constant_in_constant_out():
    flat = volume(image=np.full((20, 30, 40), 2.5))
    for place in drawn(PatchSampler([flat], SHAPE), 20):
        patch = flat.image[(slice(None), *place.box)]
        assert patch.shape == (1, *SHAPE)
        assert (patch == 2.5).all()


def test_a_patch_is_cut_to_the_smallest_volume():
    volumes = [volume(shape=(20, 30, 40)), volume(shape=(9, 50, 60))]
    assert patch_shape(volumes, 24) == (9, 24, 24)
