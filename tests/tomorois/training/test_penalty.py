"""Rejected ROIs become background that weighs more, and never erase an annotated ROI."""

import numpy as np

from tomocore.roiset import rois_from_labels
from tomocore.volumes.volume import Volume
from tomorois.annotation.settings import AnnotationSettings
from tomorois.annotation.targets import training_targets
from tomorois.training.penalty import rejected_mask, with_rejected


def test_of_curated_rois_only_the_rejected_count_else_all():
    labels = np.zeros((4, 4, 4), np.int16)
    labels[0], labels[2] = 1, 2
    rois = rois_from_labels(Volume(labels, 1.0))
    assert np.array_equal(rejected_mask(rois), labels > 0)
    assert np.array_equal(rejected_mask(rois.with_columns(status=["kept", "rejected"])), labels == 2)
    assert not rejected_mask(rois.with_columns(status=["kept", "kept"])).any()


def test_rejected_regions_become_background_but_never_erase_an_annotated_roi():
    labels = np.array([[[0, 1, 7], [255, 254, 0]]], dtype=np.uint8)
    targets = training_targets(labels, AnnotationSettings())
    rejected = np.array([[[True, True, False], [True, False, False]]])
    changed, penalised = with_rejected(targets, rejected)
    assert penalised.tolist() == [[[True, False, False], [True, False, False]]]
    assert changed.counted.all()
    assert np.array_equal(changed.roi, targets.roi)
