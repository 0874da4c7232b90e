"""Files that belong to one tomogram are found by their names."""

import pytest

from tomocore.contract import InputError
from tomorois.pairing import (
    labels_of,
    made_by,
    membrane_files,
    membranes_of,
    model_threshold,
    roi_files,
    tomogram_stem,
)


def touched(folder, *names):
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).touch()
    return [folder / name for name in names]


@pytest.mark.parametrize(
    "name", ["t_01__confidence.mrc", "t_01__rois.npz", "t_01__membranes.mrc.gz", "t_01.mrc"]
)
def test_the_stem_is_what_precedes_two_underscores(tmp_path, name):
    assert tomogram_stem(tmp_path / name) == "t_01"


def test_membranes_of_a_folder_are_masks_or_else_confidence_maps(tmp_path):
    given = touched(tmp_path / "given", "a__membranes.mrc", "a__confidence.mrc", "a.mrc")
    drawn = touched(tmp_path / "drawn", "b__confidence.mrc", "b__confidence.json")
    assert membrane_files([tmp_path / "given", tmp_path / "drawn"]) == [given[0], drawn[0]]
    assert membrane_files(given[1:2]) == given[1:2]
    touched(tmp_path / "none", "a.mrc")
    with pytest.raises(InputError, match="none"):
        membrane_files([tmp_path / "none"])


def test_labels_and_membranes_follow_their_tomogram_else_the_order(tmp_path, caplog):
    tomograms = touched(tmp_path, "a.mrc", "b.mrc")
    labels = touched(tmp_path, "b__labels.mrc", "c__labels.mrc")
    assert labels_of(tomograms, labels) == labels[:1]
    assert labels_of(tomograms[:1], labels) == labels
    sides = touched(tmp_path, "b__membranes.mrc", "a__membranes.mrc")
    assert membranes_of(tomograms, sides) == dict(zip(tomograms, sides[::-1], strict=True))
    assert membranes_of(tomograms, sides[:1]) == {tomograms[1]: sides[0]}
    assert not caplog.records
    others = touched(tmp_path, "x.mrc", "y.mrc")
    assert membranes_of(tomograms, others) == dict(zip(tomograms, others, strict=True))
    assert "by their order" in caplog.text
    with pytest.raises(InputError, match="--membranes names 1 files for 2"):
        membranes_of(tomograms, others[:1])


def test_folders_give_rois_or_else_volumes(tmp_path):
    archives = touched(tmp_path / "rois", "b__rois.npz", "a__rois.npz", "a__rois.mrc")
    maps = touched(tmp_path / "maps", "a__confidence.mrc", "a__confidence.json", "a.mrc")
    assert roi_files([tmp_path / "rois", tmp_path / "maps"], "__rois.npz", "confidence") == [
        archives[1],
        archives[0],
        maps[0],
    ]
    with pytest.raises(InputError, match=r"maps: this folder holds no \*__rois.npz"):
        roi_files([tmp_path / "maps"], "__rois.npz")


def test_what_made_a_map_is_read_from_beside_it(tmp_path):
    (confidence,) = touched(tmp_path, "a__confidence.zarr")
    assert made_by(confidence) == {}
    assert model_threshold(confidence) is None
    (tmp_path / "a__confidence.json").write_text('{"threshold": 0.4, "model": "m"}')
    assert model_threshold(confidence) == 0.4
    (tmp_path / "a__confidence.json").write_text("half a fi")
    assert made_by(confidence) == {}
