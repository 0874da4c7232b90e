"""The documentation site is built from the pages without a warning, and asks nothing of a network."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from make_format_tables import page_with_tables

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_the_site_is_built_without_a_warning_and_opens_offline(tmp_path):
    pytest.importorskip("sphinx", reason="the extra 'docs' is not installed")
    command = [sys.executable, "-m", "sphinx", "-W", "-n", "-q", "-b", "html", ROOT / "docs", tmp_path]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) > 30
    loaded = re.compile(r"<(?:script|img|link rel=\"stylesheet\")[^>]*(?:src|href)=\"(?:https?:)?//[^\"]*")
    assert {page.name: found for page in pages if (found := loaded.findall(page.read_text()))} == {}


def test_the_tables_of_columns_are_those_of_the_code():
    page = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
    assert page_with_tables(page) == page
    assert {f"`{name}`" for name in ("contact_area_nm2", "centroid_x_nm", "low")} <= set(page.split())
