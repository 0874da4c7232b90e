"""Which surfaces distances run between, known from their facts alone."""

from pathlib import Path

import pytest

from surfora.geometry.facts import SurfaceFacts
from surfora.masks.grids import Grid
from surfora.measures.distance_pairs import SurfaceFile, paired_surfaces, require_common_place


def surface(name, label="", source="t.mrc", roi=None, rois=""):
    facts = SurfaceFacts(name, "medial", label, roi, source, rois=rois)
    return SurfaceFile(Path(f"{name}.medial.vtp"), facts)


def names(pairs):
    return [(source.name, target.name) for source, target in pairs]


@pytest.mark.parametrize("again", [("OMM", "IMM"), ("IMM", "OMM"), ("t_OMM", "IMM")])
def test_a_pair_asked_for_twice_is_measured_once(again):
    both = [surface("t_OMM", "OMM"), surface("t_IMM", "IMM")]
    assert names(paired_surfaces(both, [("OMM", "IMM"), again])) == [("t_OMM", "t_IMM"), ("t_IMM", "t_OMM")]


def test_rois_of_a_surface_whose_file_an_earlier_version_did_not_name_are_paired_as_before():
    kept = surface("t1_OMM_roi001", source="t1_OMM.mrc", roi=1)
    anew = surface("t1_ER_roi001", source="t1_ER.mrc", roi=1, rois="t1__rois.npz")
    assert paired_surfaces([kept, anew], None) == [(kept, anew), (anew, kept)]


def test_equal_numbers_of_rois_in_two_files_are_two_places():
    """ROI 1 of one tomogram lies elsewhere than ROI 1 of the next, though both are measured in one run."""
    masks = [
        surface("t1_OMM_roi001", source="t1_OMM.mrc", roi=1, rois="t1__rois.npz"),
        surface("t1_ER_roi001", source="t1_ER.mrc", roi=1, rois="t1__rois.npz"),
        surface("t2_OMM_roi001", source="t2_OMM.mrc", roi=1, rois="t2__rois.npz"),
    ]
    assert names(paired_surfaces(masks, None)) == [
        ("t1_OMM_roi001", "t1_ER_roi001"),
        ("t1_ER_roi001", "t1_OMM_roi001"),
    ]


@pytest.mark.parametrize(
    ("grid", "said", "warned"),
    [
        (Grid((9, 9, 9), 1.0, (0.0, 0.0, 0.0)), "", ""),
        (Grid((9, 9, 9), 1.0, (500.0, 0.0, 0.0)), "", "a program dropped the origin of one"),
        (Grid((3, 3, 3), 3.0, (0.0, 0.0, 0.0)), "", "it lies 1 nm off along x, y and z"),
        (Grid((4, 5, 6), 1.0, (3.0, 0.0, 0.0)), "placed by their headers", ""),
    ],
    ids=["one grid", "a place dropped", "binned", "a crop"],
)
def test_places_that_headers_give_are_said_and_doubtful_ones_are_warned_of(grid, said, warned, caplog):
    first = Grid((9, 9, 9), 1.0, (0.0, 0.0, 0.0))
    pair = (
        SurfaceFile(Path(name), SurfaceFacts(name, "medial", grid=own.text))
        for name, own in (("a", first), ("b", grid))
    )
    line = require_common_place(*pair)
    assert line.endswith(said)
    assert bool(line) == bool(said)
    assert warned in caplog.text
    assert bool(caplog.text) == bool(warned)
