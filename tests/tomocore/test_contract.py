"""Messages of errors, whatever stands in the files that they are about."""

import pickle

import pytest

from tomocore.contract import Batch, InputError, NoRoomError


def test_values_of_thousands_of_letters_are_cut_and_paths_are_not():
    path = "/" + "/".join(["folder" * 20] * 20) + "/a.csv"
    message = str(InputError(f"{path}: voxel_size_nm of t1 is {'9' * 5000}; give a positive number of nm"))
    assert message == f"{path}: voxel_size_nm of t1 is {'9' * 60}…; give a positive number of nm"


def test_errors_come_back_from_workers_as_they_were():
    error = pickle.loads(pickle.dumps(NoRoomError("a.vtp: no space left")))
    assert (type(error), str(error)) == (NoRoomError, "a.vtp: no space left")


def test_a_folder_is_no_file_to_be_written(tmp_path):
    """It was told to be skipped as existing, with the remedy to overwrite it."""
    for overwrite in (False, True):
        with pytest.raises(InputError, match="is a folder, and one file is to be written"):
            Batch().make(tmp_path, overwrite, lambda path: None)
    zarr = tmp_path / "a.zarr"
    zarr.mkdir()
    batch = Batch()
    batch.make(zarr, False, lambda path: None)
    assert list(batch.skipped) == [str(zarr)]
