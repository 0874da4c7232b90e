"""Tables as files, also those without a row."""

from surfora.earlier_run import COLUMNS_OF, RunTables
from surfora.reporting.tables import REQUIRED, read_table


def test_tables_without_rows_have_all_their_columns(tmp_path):
    for path in RunTables().write(tmp_path):
        heading = path.read_text().strip().split(",")
        assert heading == [column.key for column in COLUMNS_OF[path.stem]]
        assert set(REQUIRED[path.name]) <= set(heading)
        assert read_table(path).empty
    heading = (tmp_path / "surfaces.csv").read_text().strip().split(",")
    assert "area_nm2" in heading
    assert "mean_nm" not in heading
