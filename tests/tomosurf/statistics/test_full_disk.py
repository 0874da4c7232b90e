"""`tomosurf compare` on a disk that fills up at its n-th write, with one of its figures."""

import itertools

import pytest
from filling_disk import FillingDisk
from simulated_tables import simulated_tables, write_tables

import tomosurf.statistics.files
from tomocore.contract import NoRoomError
from tomosurf.statistics.files import CompareRequest, compare_files
from tomosurf.statistics.settings import CompareSettings
from tomosurf.statistics.study_figures import study_figures


def test_full_at_any_write_it_says_so_leaves_no_half_file_and_goes_on_later(tmp_path, monkeypatch):
    one = lambda study: itertools.islice(study_figures(study), 1)  # noqa: E731
    monkeypatch.setattr(tomosurf.statistics.files, "study_figures", one)
    tables = write_tables(tmp_path / "study", simulated_tables(3))
    how = CompareSettings(measures=("gap_mean_nm",))

    def compare(folder):
        compare_files(CompareRequest((tables,), folder, tables / "tomograms.csv", how))
        return {path.name: path.read_bytes() for path in folder.rglob("*.csv")}

    with monkeypatch.context() as patch:
        disk = FillingDisk(tmp_path / "whole", patch)
        expected = compare(tmp_path / "whole")
    assert disk.count >= 8
    for room in range(0, disk.count, disk.count // 6):
        folder = tmp_path / f"room{room}"
        with monkeypatch.context() as patch:
            FillingDisk(folder, patch, room)
            with pytest.raises(NoRoomError, match=rf"{folder}/\S+: (no space left|only a part).*; free some"):
                compare(folder)
        left = list(folder.rglob("*")) if folder.exists() else []
        assert not [path for path in left if path.name.startswith(".")], room
        assert not (folder / "comparison.html").exists(), room
        assert compare(folder) == expected, room
        assert (folder / "comparison.html").exists()
