"""What surfaces and contacts are called on a page: "membrane 3, ROI 3", "contact 3: membranes 2 and 5"."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pandas as pd

from surfora.geometry.facts import is_number, stem_of
from surfora.reporting.columns import kind_in_words

MASK_ENDING = "__membranes"
"""End of a mask's stem that says no more than that it is one."""


def membrane_in_words(label: str, otherwise: str) -> str:
    """``membrane 3`` of label 3, the label itself where it is a name, else the name given for no label."""
    if not label:
        return otherwise
    return f"membrane {label}" if label.isdigit() else label


def both_in_words(first: str, second: str) -> str:
    """``membranes 2 and 5`` or ``OMM and ER``, in their natural order."""
    first, second = sorted((first, second), key=natural_key)
    return _joined(first, second, "membranes", "and")


def way_in_words(source: str, target: str) -> str:
    """``membrane 5 to 2`` or ``OMM to ER``."""
    return _joined(source, target, "membrane", "to")


def _joined(first: str, second: str, noun: str, joint: str) -> str:
    numbers = [name.removeprefix("membrane ") for name in (first, second)]
    if all(n.isdigit() and f"membrane {n}" == name for n, name in zip(numbers, (first, second), strict=True)):
        return f"{noun} {numbers[0]} {joint} {numbers[1]}"
    return f"{first} {joint} {second}"


def natural_key(text: str) -> list[tuple[int, str]]:
    """Sorts ``membrane 10`` after ``membrane 9``."""
    parts = enumerate(re.split(r"0*([0-9]+)", text))
    return [(len(part), part) if n % 2 else (0, part) for n, part in parts]


def with_words(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of surfaces.csv or distances.csv with what people call them.

    ``place`` is the tomogram, or the mask where labels of several were measured, else "". ``membrane`` and
    ``surface`` ("membrane 3, ROI 3") name the surface within it, and ``contact``
    ("contact 3: membranes 2 and 5") of a table with targets, what it was measured to, and ``way``
    ("contact 3: membrane 5 to 2") the direction.
    """
    rows = table.to_dict("records")
    stems = [_short_stem(row["name"], row["label"], row["roi"]) for row in rows]
    places = _places(rows, stems)
    masks_at: dict[str, set[str]] = {}
    for place, stem in zip(places, stems, strict=True):
        masks_at.setdefault(place, set()).add(stem)
    words = []
    for row, stem, place in zip(rows, stems, places, strict=True):
        alone = len(masks_at[place]) == 1 and is_number(row["roi"])
        membrane = membrane_in_words(row["label"], "membrane" if alone else stem)
        named = {"place": place, "membrane": membrane, "surface": _within_roi(membrane, row["roi"])}
        if "target" in row:
            label = row["target_label"]
            target = membrane_in_words(label, _short_stem(row["target"], label, row["roi"]))
            named["contact"] = _in_contact(both_in_words(membrane, target), row["roi"])
            named["way"] = _in_contact(way_in_words(membrane, target), row["roi"])
        words.append(named)
    return table.assign(**pd.DataFrame(words, index=table.index).to_dict("series"))


def across_places(place: str, name: str) -> str:
    """A name as it stands beside those of other places: ``t1, membrane 3``."""
    return f"{place}, {name}" if place else name


def full_name(row: Mapping[str, Any]) -> str:
    """NAME and kind of a surface, as its file is called."""
    return f"{row['name']}.{row['kind']}"


def surface_with_kind(surface: str, kind: str, several_kinds: bool) -> str:
    """A surface's words, with what it is of the membrane where there are several kinds."""
    return f"{surface}, {kind_in_words(kind)}" if several_kinds else surface


def _places(rows: list[dict[str, Any]], stems: list[str]) -> list[str]:
    """Of each row the tomogram or, with labels of several masks, the mask; "" where all share it."""
    if rows and "tomogram" in rows[0]:
        return [row["tomogram"] for row in rows]
    several = len(set(stems)) > 1
    return [stem if several and row["label"] else "" for stem, row in zip(stems, rows, strict=True)]


def _short_stem(name: str, label: str, roi: float | None) -> str:
    return stem_of(name, label, roi).removesuffix(MASK_ENDING)


def _within_roi(membrane: str, roi: float | None) -> str:
    return f"{membrane}, ROI {int(roi)}" if is_number(roi) else membrane  # type: ignore[arg-type]


def _in_contact(words: str, roi: float | None) -> str:
    """``contact 3: membranes 2 and 5`` within an ROI, the words alone where there is none."""
    return f"contact {int(roi)}: {words}" if is_number(roi) else words  # type: ignore[arg-type]
