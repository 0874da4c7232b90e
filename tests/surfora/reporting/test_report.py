"""What the page of a run says in words."""

import pandas as pd

from surfora.reporting.report import filled_in_words, in_words

SURFACES = pd.DataFrame(
    {"name": ["t1_2_roi003", "t1_5_roi003"], "label": ["2", "5"], "roi": [3, 3], "filled": [True, False]}
)


def test_boundaries_of_filled_bodies_are_told():
    (text,) = filled_in_words(SURFACES)
    assert text.endswith("the mask is filled and no thin sheet: membrane 2, ROI 3.")
    assert filled_in_words(SURFACES.assign(filled=False)) == []
    assert filled_in_words(SURFACES.drop(columns="filled")) == []


def test_a_warning_names_its_surface_as_the_tables_do():
    assert in_words("t1_5_roi003: open at its rim", SURFACES) == "membrane 5, ROI 3: open at its rim"
    assert in_words("mask.mrc: no such file", SURFACES) == "mask.mrc: no such file"
    assert in_words("two words", SURFACES) == "two words"
