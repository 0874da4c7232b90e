"""The page of the editor: its keys are those of the code."""

from pathlib import Path

from surfora.editor.actions import ACTIONS, key_table

ROOT = Path(__file__).parents[3]


def test_the_page_has_the_keys_of_the_code():
    page = (ROOT / "docs" / "surfora" / "editor.md").read_text(encoding="utf-8")
    assert f"<!-- keys -->\n{key_table()}<!-- /keys -->" in page
    assert all(f"| {', '.join(a.keys)} |" in page for a in ACTIONS if a.name != "set_label")
