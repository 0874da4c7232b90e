"""Files that belong to one tomogram are found by their names."""

import pytest

from tomocore.console import InputError
from tomorois.pairing import labels_of, membrane_files, membranes_of, tomogram_stem


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


def test_labels_and_membranes_follow_their_tomogram_else_the_order(tmp_path):
    tomograms = touched(tmp_path, "a.mrc", "b.mrc")
    labels = touched(tmp_path, "b__labels.mrc", "c__labels.mrc")
    assert labels_of(tomograms, labels) == labels[:1]
    assert labels_of(tomograms[:1], labels) == labels
    sides = touched(tmp_path, "b__membranes.mrc", "a__membranes.mrc")
    assert membranes_of(tomograms, sides) == dict(zip(tomograms, sides[::-1], strict=True))
    others = touched(tmp_path, "x.mrc", "y.mrc")
    assert membranes_of(tomograms, others) == dict(zip(tomograms, others, strict=True))
    with pytest.raises(InputError, match="--membranes names 1 files for 2"):
        membranes_of(tomograms, others[:1])
