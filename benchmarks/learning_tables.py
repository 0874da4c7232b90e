"""The results of the learning study: a CSV with a row a training, and the tables made from it."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from learning_trainings import Case

ROIS, SETTINGS, LONG = "annotated ROIs", "settings", "longer"
TARGETS = {"false_positives": 0.02, "missed": 0.01, "dice": 0.93}
PUBLISHED = {"false_positives": 0.17, "missed": 0.03, "dice": 0.89}
ERROR_COLUMNS = ("training", "error", "share")
IDENTITY = ("study", "name", "kind", "noise", "learner", "rois", "seed", "budget_s")
RESULTS = (
    "cpu_s",
    "steps",
    "threshold",
    "truth",
    "tp",
    "fp",
    "fn",
    "dice",
    "dice_low",
    "dice_high",
    "roi_dice",
)
RESULTS += ("dice_map", "dice_map_mirrored", "dice_training")
RESULTS += tuple(
    f"{name}_{what}" for name in ("xy", "oblique", "upright", "round") for what in ("found", "truth")
)


def identity(case: Case, seed: int) -> dict[str, str]:
    """What tells one training from the others, as the CSV has it."""
    values = (
        case.study,
        case.name,
        case.kind,
        case.noise,
        case.learner,
        case.rois,
        seed,
        f"{case.budget_seconds:g}",
    )
    return dict(zip(IDENTITY, map(str, values), strict=True))


def read_rows(path: Path) -> list[dict[str, str]]:
    """The trainings made so far."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def append_rows(path: Path, columns: Sequence[str], rows: Sequence[dict[str, Any]]) -> None:
    """Add lines to a CSV."""
    new = not path.is_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, restval="")
        if new:
            writer.writeheader()
        writer.writerows(as_text(row) for row in rows)


def share(row: dict[str, str], part: str, *whole: str) -> float:
    """A rate from counts in the CSV; NaN of nothing."""
    total = sum(float(row[name]) for name in whole)
    return float(row[part]) / total if total else float("nan")


VALUES: dict[str, Callable[[dict[str, str]], float]] = {
    "steps": lambda row: float(row["steps"]),
    "CPU-s": lambda row: float(row["cpu_s"]),
    "false positives": lambda row: share(row, "fp", "tp", "fp"),
    "missed": lambda row: share(row, "fn", "tp", "fn"),
    "Dice": lambda row: float(row["dice"]),
    "Dice of each ROI found": lambda row: float(row["roi_dice"]),
    "map alone": lambda row: float(row["dice_map"]),
    "…mirrored": lambda row: float(row.get("dice_map_mirrored") or "nan"),
    "…in training": lambda row: float(row["dice_training"]),
}
ORIENTATIONS = {"lying in XY (0–30°)": "xy", "oblique (30–60°)": "oblique", "upright (60–90°)": "upright"}


def shown(name: str, values: Sequence[float]) -> str:
    """The mean of several trainings, and how far the extremes lie apart."""
    if name in ("steps", "CPU-s"):
        return f"{np.mean(values):.0f}"
    if name in ("false positives", "missed"):
        return f"{np.mean(values):.1%}"
    if np.isnan(values).any():
        return "–"
    spread = f" ± {(max(values) - min(values)) / 2:.3f}" if len(values) > 1 else ""
    return f"{np.mean(values):.3f}{spread}"


def lines_of(rows: Sequence[dict[str, str]]) -> dict[str, list[dict[str, str]]]:
    """The trainings of each line of a table, by the line's name."""
    lines: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        name = f"{row['name']}, {row['budget_s']} CPU-s" if row["study"] == LONG else row["name"]
        lines.setdefault(name, []).append(row)
    return lines


def table(rows: Sequence[dict[str, str]]) -> str:
    """A Markdown table, a line for each name, means over its trainings."""
    text = ["| | trainings | " + " | ".join(VALUES) + " |", "|---" * (len(VALUES) + 2) + "|"]
    for name, same in lines_of(rows).items():
        cells = [shown(title, [value(row) for row in same]) for title, value in VALUES.items()]
        text.append(f"| {name} | {len(same)} | " + " | ".join(cells) + " |")
    return "\n".join(text)


def orientation_table(rows: Sequence[dict[str, str]]) -> str:
    """Recall by how the ROI lies, all trainings of a study together."""
    text = ["| contact | true | found | recall |", "|---|---|---|---|"]
    for title, name in ORIENTATIONS.items():
        found, truth = (sum(int(row[f"{name}_{what}"]) for row in rows) for what in ("found", "truth"))
        text.append(f"| {title} | {truth} | {found} | {found / max(truth, 1):.1%} |")
    return "\n".join(text)


def error_table(errors: Sequence[dict[str, str]]) -> str:
    """The share of each kind of error, a column a training."""
    shares = {(row["error"], row["training"]): float(row["share"]) for row in errors}
    kinds, trainings = (list(dict.fromkeys(key[end] for key in shares)) for end in (0, 1))
    text = ["| error | " + " | ".join(trainings) + " |", "|---" * (len(trainings) + 1) + "|"]
    for kind in kinds:
        cells = [f"{shares[kind, training]:.1%}" for training in trainings]
        text.append(f"| {kind} | " + " | ".join(cells) + " |")
    return "\n".join(text)


def verdict_table(rows: Sequence[dict[str, str]]) -> str:
    """Each target beside what was reached, misses marked."""
    told = ["| trained on | score | target | reached | |", "|---|---|---|---|---|"]
    for name, same in lines_of(rows).items():
        wanted = PUBLISHED if same[0]["rois"] == "10" else TARGETS
        for score, target in wanted.items():
            title = {"false_positives": "false positives", "missed": "missed", "dice": "Dice"}[score]
            reached = float(np.mean([VALUES[title](row) for row in same]))
            met = reached >= target if score == "dice" else reached <= target
            sign = "≥" if score == "dice" else "≤"
            told.append(
                f"| {name} | {title} | {sign} {target:g} | {reached:.3f} | {'met' if met else 'MISS'} |"
            )
    return "\n".join(told)


def tables_of(rows: Sequence[dict[str, str]], errors: Sequence[dict[str, str]]) -> dict[str, str]:
    """Every table of the page, by name."""
    counted, longer = ([row for row in rows if row["study"] == study] for study in (ROIS, LONG))
    defaults = [row for row in counted if row["name"] == "50 contacts"]
    contacts = [row for row in counted + longer if row["kind"] == "contacts" and row["noise"] == "denoised"]
    return {
        "reached": table(counted + longer),
        "targets": verdict_table(longer),
        "errors": error_table(errors),
        "settings": table(defaults + [row for row in rows if row["study"] == SETTINGS]),
        "orientation": orientation_table(contacts),
    }


def page_with(tables: dict[str, str], page: str) -> str:
    """The page with the table after each ``<!-- name -->`` replaced."""
    for name, lines in tables.items():
        page = re.sub(rf"(<!-- {name} -->\n\n)(?:\|.*\n)+", rf"\g<1>{lines}\n", page)
    return page


def as_text(row: dict[str, Any]) -> dict[str, str]:
    """A row as the CSV has it."""
    return {k: f"{v:.4g}" if isinstance(v, float) else str(v) for k, v in row.items()}
