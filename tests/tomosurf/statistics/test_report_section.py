"""The comparison of a project's conditions as a part of its report."""

import pandas as pd
import pytest
from simulated_tables import simulated_tables, write_tables

from tomosurf.statistics.files import CompareRequest
from tomosurf.statistics.report_section import compared_project
from tomosurf.statistics.settings import CompareSettings


def asked(folder, patches=0):
    """What a project's report asks for of the tables in a folder."""
    tables = tuple(folder.glob("surfaces"))
    how = CompareSettings(patches=patches)
    return CompareRequest(tables, folder / "comparison", folder / "tomograms.csv", how, overwrite=True)


def test_nothing_without_conditions(tmp_path):
    assert compared_project(asked(tmp_path)).sections == []
    (tmp_path / "tomograms.csv").write_text("name,grid\na,g1\n")
    assert compared_project(asked(tmp_path)).sections == []
    (tmp_path / "tomograms.csv").write_text("name,condition\na,\n")
    found = compared_project(asked(tmp_path))
    assert (found.sections, found.warnings) == ([], [])


def test_a_damaged_table_is_a_warning(tmp_path):
    (tmp_path / "tomograms.csv").write_text("name,condition\na,wt,3\n")
    (warning,) = compared_project(asked(tmp_path)).warnings
    assert "conditions are not compared" in warning
    assert "line 2" in warning


@pytest.mark.slow
def test_differences_are_said_and_compared_anew_each_time(tmp_path):
    write_tables(tmp_path, simulated_tables(5), of_tomograms=True)
    (tmp_path / "comparison").mkdir()
    (tmp_path / "comparison" / "comparison.html").write_text("a page of before")
    found = compared_project(asked(tmp_path, patches=25))  # of which tables without meshes have none
    assert "no random patches are drawn, since no surface has a contact" in found.warnings
    (section,) = found.sections
    assert section.title == "Differences between conditions"
    assert any("gap, mean, ER–OMM: ko − wt" in text for text in section.texts)
    assert len(section.figures) == len(section.tables) == 1
    assert "a page of before" not in (tmp_path / "comparison" / "comparison.html").read_text()
    assert len(pd.read_csv(tmp_path / "comparison" / "comparisons.csv")) > 5
