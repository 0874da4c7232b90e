"""One table of keys: bound without clashes, documented as it is."""

import re
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest

from tomorois.napari.actions import Actions
from tomorois.napari.keys import KEYS, bound_keys, keys_html, keys_table

PAGE = Path(__file__).parents[3] / "docs" / "tomorois" / "annotate.md"


@pytest.mark.parametrize("where", ["everywhere", "annotate", "curate"])
def test_no_key_means_two_things_in_one_step(where):
    keys = [name for key in KEYS if key.action and key.where in ("everywhere", where) for name in key.keys]
    assert not [name for name, count in Counter(keys).items() if count > 1]


def test_every_key_has_its_action():
    actions = Actions(
        SimpleNamespace(
            canvas=SimpleNamespace(invert=0, auto_contrast=0, toggle_overlay=0),
            hand=SimpleNamespace(end=0),
            help=0,
        )
    )
    for where in ("everywhere", "annotate", "curate"):
        for name in bound_keys(where).values():
            assert actions.of(name) is not None


def test_the_page_shows_the_table_of_the_code():
    found = re.search(r"<!-- keys -->\n(.*?)\n<!-- /keys -->", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found, "docs/shots/keys.py writes the table"
    assert found[1] == keys_table()
    assert "split: drag a line" in keys_html("curate")
    assert "split: drag a line" not in keys_html("annotate")
