"""Judging ROIs: every key saved, undo, edits, and judgements kept when ROIs are found again."""

import numpy as np
import pytest

from tomocore.contract import InputError
from tomocore.roiset import read_rois, rois_from_masks, write_rois
from tomorois.annotation.curation import Curation
from tomorois.annotation.strokes import line_stroke
from tomorois.training.penalty import rejected_mask

SHAPE = (30, 40, 50)
CENTRES = [(8, 10, 10), (8, 25, 12), (20, 12, 35), (20, 30, 30)]


def write_set(folder, stem, centres, confidences=None, radius=4.0):
    strokes = [line_stroke(SHAPE, centre, radius, 1) for centre in centres]
    means = np.linspace(0.9, 0.5, len(centres)) if confidences is None else np.array(confidences)
    rois = rois_from_masks(
        [s.start for s in strokes], [s.mask for s in strokes], SHAPE, 2.0, columns={"confidence_mean": means}
    )
    folder.mkdir(exist_ok=True)
    write_rois(folder, stem, rois, overwrite=True)


@pytest.fixture
def folder(tmp_path):
    write_set(tmp_path / "rois", "ts_01", CENTRES)
    write_set(tmp_path / "rois", "ts_02", CENTRES[:2], [0.8, 0.55])
    return tmp_path / "rois"


def state_of(curation):
    return [(roi.key, roi.status, roi.start, roi.mask.tobytes()) for roi in curation.ordered()]


def test_the_least_sure_comes_first_over_all_tomograms(folder):
    curation = Curation(folder)
    confidences = [roi.confidence for roi in curation.ordered()]
    assert confidences == sorted(confidences)
    assert curation.roi.key == ("ts_01", 4)
    assert curation.next().key == ("ts_02", 2)
    assert curation.previous().key == ("ts_01", 4)
    assert curation.previous().key == ("ts_01", 4)


def test_a_key_judges_goes_on_and_is_on_the_disk_at_once(folder):
    curation = Curation(folder)
    for status in ("kept", "rejected", "unsure"):
        curation.judge(status)
    assert curation.seen() == (3, 6)
    again = Curation(folder)  # the first one was never closed
    assert state_of(again) == state_of(curation)
    assert not again.roi.is_seen
    assert again.counts() == {"kept": 1, "rejected": 1, "unsure": 1, "predicted": 3}
    first = again.undo()
    assert (first.status, again.seen()) == ("predicted", (2, 6))
    assert state_of(Curation(folder)) == state_of(again)
    again.redo()
    assert state_of(Curation(folder)) == state_of(curation)


def test_undo_goes_back_through_everything(folder):
    curation = Curation(folder)
    start = state_of(curation)
    curation.judge("kept")
    curation.split_by_seeds([curation.roi.start, np.add(curation.roi.start, curation.roi.mask.shape)])
    curation.redraw(line_stroke(SHAPE, (15, 20, 25), 3, 1), add=True)
    curation.draw("ts_02", line_stroke(SHAPE, (25, 35, 40), 3, 1))
    curation.judge("rejected")
    end = state_of(curation)
    for _ in range(5):
        curation.undo()
    assert state_of(curation) == start
    assert not curation.can_undo
    for _ in range(5):
        curation.redo()
    assert state_of(curation) == end
    assert state_of(Curation(folder)) == end


def test_split_by_a_cut_and_by_seeds(tmp_path):
    two = line_stroke(SHAPE, (15, 20, 14), 5, 1).mask
    dumbbell = np.zeros(SHAPE, bool)
    for centre in ((15, 20, 14), (15, 20, 32)):
        stroke = line_stroke(SHAPE, centre, 5, 1)
        dumbbell[stroke.box] |= stroke.mask
    neck = line_stroke(SHAPE, [(15, 20, 14), (15, 20, 32)], 1.5, 1)
    dumbbell[neck.box] |= neck.mask
    write_rois(tmp_path, "ts", rois_from_masks([(0, 0, 0)], [dumbbell], SHAPE, 2.0))
    curation = Curation(tmp_path)
    cut = curation.split_by_cut(0, [(5, 23.0), (35, 23.0)])  # in the slice: from y 5 to y 35 at x 23
    assert sorted(roi.box[2].stop for roi in cut) == [24, 38] or sorted(roi.box[2].stop for roi in cut) == [
        23,
        38,
    ]
    assert sum(roi.voxels for roi in cut) == dumbbell.sum()
    curation.undo()
    parts = curation.split_by_seeds([(15, 20, 12), (15, 20, 34)])
    assert sum(roi.voxels for roi in parts) == dumbbell.sum()
    assert all(abs(roi.voxels - dumbbell.sum() / 2) <= 30 for roi in parts)
    assert {roi.id for roi in parts}.isdisjoint({1})
    assert two.sum() < min(roi.voxels for roi in parts) + 30
    with pytest.raises(InputError, match="does not take the ROI apart"):
        curation.split_by_cut(0, [(0, 0), (1, 0)])
    curation.look_at(parts[0].key)
    merged = curation.merge([parts[1].key])
    assert merged.voxels == dumbbell.sum()
    assert curation.seen() == (0, 1)


def test_only_the_rejected_reach_the_penalty(folder):
    curation = Curation(folder)
    curation.look_at(("ts_01", 1))
    curation.judge("kept", go_on=False)
    curation.look_at(("ts_01", 2))
    curation.judge("rejected", go_on=False)
    curation.close()
    rois = read_rois(folder / "curated" / "ts_01__rois.npz")
    mask = rejected_mask(rois)
    expected = line_stroke(SHAPE, CENTRES[1], 4, 1)
    assert mask.sum() == expected.mask.sum()
    assert mask[expected.box][expected.mask].all()
    before = read_rois(folder / "ts_01__rois.npz")
    assert set(before.table["status"]) == {"predicted"}


def test_judgements_survive_a_new_model_and_what_changed_comes_first(folder):
    curation = Curation(folder)
    for row, status in enumerate(("kept", "rejected", "kept", "rejected"), start=1):
        curation.look_at(("ts_01", row))
        curation.judge(status, go_on=False)
    drawn = curation.draw("ts_01", line_stroke(SHAPE, (25, 5, 45), 3, 1))
    curation.close()
    moved = (CENTRES[2][0], CENTRES[2][1] + 3, CENTRES[2][2])
    write_set(folder, "ts_01", [CENTRES[1], CENTRES[0], moved, (8, 36, 44)])  # 4 is gone, one is new
    again = Curation(folder)
    by_centre = {roi.centre(): roi for roi in again.of("ts_01")}
    assert by_centre[CENTRES[0]].status == "kept"
    assert by_centre[CENTRES[1]].status == "rejected"
    assert (by_centre[moved].status, by_centre[moved].changed) == ("predicted", True)
    assert by_centre[8, 36, 44].changed
    assert by_centre[CENTRES[3]].status == "rejected"
    assert by_centre[drawn.centre()].status == "kept"
    assert [roi.changed for roi in again.ordered()][:2] == [True, True]
    assert not again.ordered()[2].changed
    assert again.of("ts_02")[0].status == "predicted"
    assert state_of(Curation(folder)) == state_of(again)
    again.look_at(by_centre[moved].key)
    again.judge("kept")
    assert state_of(Curation(folder)) == state_of(again)


def test_a_folder_without_rois_is_refused(tmp_path):
    with pytest.raises(InputError, match="make ROIs first"):
        Curation(tmp_path)


def test_facts_of_an_roi(folder):
    flat = np.zeros((3, 12, 12), bool)
    flat[1] = True
    write_rois(
        folder,
        "ts_03",
        rois_from_masks([(5, 5, 5), (10, 20, 20)], [flat, flat.transpose(1, 0, 2)], SHAPE, 2.0),
    )
    curation = Curation(folder)
    lying, standing = curation.of("ts_03")
    assert lying.tilt_deg == pytest.approx(0, abs=1)
    assert standing.tilt_deg == pytest.approx(90, abs=1)
    curation.look_at(lying.key)
    assert not curation.neighbours()


def test_a_drawn_roi_outside_its_tomogram_names_the_file_of_judgements(folder):
    curation = Curation(folder)
    curation.draw("ts_02", line_stroke(SHAPE, (8, 25, 12), 4.0, 1))
    curation.journal.close()
    name = curation.journal.path
    name.write_text(name.read_text().replace('"start":[', '"start":[-'))
    with pytest.raises(InputError, match=f"{name.name}: an ROI reaches outside its tomogram"):
        Curation(folder).write()
