"""What surfaces and contacts are called, whatever their masks, labels and ROIs are."""

import pandas as pd
import pytest

from surfora.reporting.naming import both_in_words, natural_key, stem_of, with_words


def rows(*names, **columns):
    """Rows of surfaces.csv from (stem, label, roi)."""
    table = [
        {
            "name": stem + (f"_{label}" if label else "") + (f"_roi{roi:03d}" if roi else ""),
            "label": label,
            "roi": roi,
        }
        for stem, label, roi in names
    ]
    return pd.DataFrame(table).assign(**columns)


@pytest.mark.parametrize(
    ("names", "places", "surfaces"),
    [
        ([("t1__membranes", "3", 3)], [""], ["membrane 3, ROI 3"]),
        ([("m", "OMM", None), ("m", "IMM", None)], ["", ""], ["OMM", "IMM"]),
        ([("er", "", None), ("mito", "", None)], ["", ""], ["er", "mito"]),
        ([("er", "", 1), ("er", "", 2)], ["", ""], ["membrane, ROI 1", "membrane, ROI 2"]),
        ([("er", "", 1), ("mito", "", 1)], ["", ""], ["er, ROI 1", "mito, ROI 1"]),
        ([("t1", "2", None), ("t2", "2", None)], ["t1", "t2"], ["membrane 2", "membrane 2"]),
    ],
)
def test_surfaces_in_words(names, places, surfaces):
    worded = with_words(rows(*names))
    assert worded["place"].tolist() == places
    assert worded["surface"].tolist() == surfaces


def test_the_tomogram_of_a_project_is_the_place():
    worded = with_words(rows(("t1__membranes", "2", 1), ("t2__membranes", "", 1), tomogram=["t1", "t2"]))
    assert worded["place"].tolist() == ["t1", "t2"]
    assert worded["surface"].tolist() == ["membrane 2, ROI 1", "membrane, ROI 1"]


@pytest.mark.parametrize(
    ("source", "target", "roi", "contact", "way"),
    [
        (("t", "5"), ("t", "2"), 3, "contact 3: membranes 2 and 5", "contact 3: membrane 5 to 2"),
        (("t", "10"), ("t", "9"), None, "membranes 9 and 10", "membrane 10 to 9"),
        (("t", "OMM"), ("t", "ER"), None, "ER and OMM", "OMM to ER"),
        (("t", "3"), ("t", "ER"), 1, "contact 1: ER and membrane 3", "contact 1: membrane 3 to ER"),
        (("er", ""), ("mito", ""), 1, "contact 1: er and mito", "contact 1: er to mito"),
    ],
)
def test_contacts_in_words(source, target, roi, contact, way):
    table = rows((*source, roi), (*target, roi))
    both = table.assign(target=table["name"].tolist()[::-1], target_label=table["label"].tolist()[::-1])
    worded = with_words(both)
    assert worded["contact"].tolist() == [contact, contact]
    assert worded["way"].iloc[0] == way


def test_names_are_ordered_as_people_count():
    assert sorted(["membrane 10", "membrane 9", "ER"], key=natural_key) == ["ER", "membrane 9", "membrane 10"]
    assert both_in_words("membrane 2", "membrane x") == "membrane 2 and membrane x"


def test_the_stem_is_what_is_left_of_a_name():
    assert stem_of("t1_2_roi003", "2", 3.0) == "t1"
    assert stem_of("t1_2", "", float("nan")) == "t1_2"


def test_numbers_of_any_length_sort_by_their_value():
    names = ["a 9", "a 010", "a " + "1" * 5000, "a 11 b 2", "a 11 b 10"]
    assert sorted(names[::-1], key=natural_key) == [names[0], names[1], names[3], names[4], names[2]]
