"""Every number that a run writes has a page that says what it means and when not to trust it."""

import re
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from surfora.reporting.columns import COLUMNS
from surfora.reporting.contact_columns import CURVE_COLUMNS, OBJECT_COLUMNS
from surfora.reporting.interval_columns import INTERVAL_COLUMNS

DOCS = Path(__file__).parents[3] / "docs" / "surfora"
INDEX = (DOCS / "measures.md").read_text(encoding="utf-8")
KEYS = {column.key for column in (*COLUMNS, *OBJECT_COLUMNS, *CURVE_COLUMNS, *INTERVAL_COLUMNS)}
OF_THE_ROW = set(re.findall(r"`([\w]+)`", INDEX.partition("What a row is of:")[2]))
ROW = re.compile(r"^\|[^|]+\|([^|]+)\|\s*\[[\w ]+\]\((\w+\.md)\)\s*\|$", flags=re.M)
PAGES = {
    page: re.findall(r"`([\w*]+)`", columns)
    for columns, page in re.findall(
        r"^\|[^|]+\|([^|]+)\|\s*\[\w[\w ]*\]\((\w+\.md)\)\s*\|$", INDEX, flags=re.M
    )
}


def test_every_column_has_one_page_in_the_index():
    """A new column wants a place in docs/surfora/measures.md, a new measure a page of its own."""
    explained = {
        key: [page for page, patterns in PAGES.items() if any(fnmatchcase(key, one) for one in patterns)]
        for key in KEYS - OF_THE_ROW
    }
    assert {key: pages for key, pages in explained.items() if len(pages) != 1} == {}
    assert OF_THE_ROW <= KEYS


def test_the_index_names_no_column_that_is_gone():
    stale = [
        one for patterns in PAGES.values() for one in patterns if not any(fnmatchcase(k, one) for k in KEYS)
    ]
    assert stale == []


@pytest.mark.parametrize("page", PAGES)
def test_pages_of_measures_say_when_not_to_trust_them_and_what_to_write(page):
    text = (DOCS / page).read_text(encoding="utf-8")
    assert "\n## When not to trust it\n" in text
    sentence = text.partition("\n## For a paper\n")[2].partition("\n## ")[0]
    assert sentence.strip().startswith('"')
    if page != "intervals.md":  # drawn by the report as whiskers of the other measures
        assert "](../pictures/" in text
