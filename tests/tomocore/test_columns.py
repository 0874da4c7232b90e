"""Columns told in words."""

from tomocore.columns import ROI_COLUMNS, Column, column_of
from tomocore.roiset import COLUMNS


def test_every_column_of_a_roi_table_has_words_and_a_meaning():
    assert [column.key for column in ROI_COLUMNS] == ["tomogram", *COLUMNS]
    assert all(column.heading and column.meaning for column in ROI_COLUMNS)


def test_an_unknown_key_is_read_as_its_words():
    assert column_of("new_area_nm2", ROI_COLUMNS) == Column("new_area_nm2", "new area nm2")
    assert column_of("volume_nm3", ROI_COLUMNS).unit == "nm³"
