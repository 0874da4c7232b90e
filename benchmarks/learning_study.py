"""What a network learns from a few annotated ROIs, and which settings win at equal processor time.

    python benchmarks/learning_study.py            prints the tables of the stored results
    python benchmarks/learning_study.py --quick    two short trainings, a few minutes
    python benchmarks/learning_study.py --train    trains what the stored results lack, first saying how long
    python benchmarks/learning_study.py --train --csv anew.csv [--only PART] [--data FOLDER]
    python benchmarks/learning_study.py --page docs/tomorois/learning.md    puts the tables into the page

Every training gets the same work, the same annotated phantoms of seed 1 and the same unseen ones of seed 2.
Work is counted in steps of a reference network (50 to the processor second), timed in turns with the first
steps of each training, so that it does not matter what else the machine does. The stored results are
`docs/tomorois/learning_study.csv`; with another ``--csv`` and another ``--data`` everything is trained anew.
Scores are of ROIs cut from the confidence map at the threshold that training chose, none of the unseen in
it: contacts split by membrane pairs, buds not at all, everything else as `tomorois instances` does it.
The U-Net is MONAI's where that is installed; its rows are left out where it is not.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    os.environ.setdefault("NUMBA_NUM_THREADS", "1")  # processor seconds of one thread are what is compared

import torch
from learning_curation import learn_from_rejections
from learning_scores import errors_of, scored
from learning_tables import (
    ERROR_COLUMNS,
    IDENTITY,
    LONG,
    RESULTS,
    ROIS,
    SETTINGS,
    append_rows,
    as_text,
    identity,
    page_with,
    read_rows,
    table,
    tables_of,
)
from learning_trainings import SECONDS, Case, learn

from tomorois.network.msdnet.config import MSDNetConfig
from tomorois.training.settings import AugmentSettings, ValidationSettings

CSV = Path(__file__).parents[1] / "docs" / "tomorois" / "learning_study.csv"
ERRORS = "learning_errors.csv"  # beside the results
LONGER: dict[str, Any] = {"drawing_seconds": 360.0, "seconds": 1440.0}  # half of what the targets allow
TEN = tuple(range(1, 11))
OVERHEAD = 1.3  # scoring included


def network(**changes: Any) -> dict[str, Any]:
    """Settings with another network."""
    return {"network": MSDNetConfig(**changes)}


def cases() -> list[Case]:
    """The whole study, in the order in which it is trained."""
    drawn: dict[str, Any] = {"membranes": "drawn"}
    buds: dict[str, Any] = {"kind": "invaginations", **drawn}
    no_tone = {"contrast_spread": 0, "brightness_spread": 0, "noise_share": 0, "blur_share": 0}
    as_is = AugmentSettings(flips=False, quarter_turns=False, **no_tone)
    long_buds = Case(LONG, "50 buds", **buds, **LONGER)
    return [
        Case(ROIS, "50 contacts", **drawn, seeds=3, errors=True),
        Case(ROIS, "10 contacts", rois=10, **drawn, seeds=3),
        Case(ROIS, "10 contacts, one a tomogram", rois=10, spread=True, **drawn, seeds=3),
        Case(ROIS, "50 buds", **buds, seeds=2),
        Case(SETTINGS, "tomogram alone", seeds=2, errors=True),
        Case(SETTINGS, "MONAI U-Net", learner="unet", **drawn, seeds=2),
        Case(SETTINGS, "2.5D, slabs of 5 planes", network(slab_planes=5), **drawn, seeds=2),
        Case(ROIS, "10 buds", rois=10, **buds, seeds=2),
        Case(ROIS, "50 contacts, raw noise", noise="raw", **drawn, seeds=2),
        Case(SETTINGS, "bin 2", {"bin_factor": 2}, **drawn, seeds=2),
        Case(SETTINGS, "bin 4", {"bin_factor": 4}, **drawn, seeds=2),
        Case(
            SETTINGS,
            "without quarter turns",
            {"augmentation": AugmentSettings(quarter_turns=False)},
            **drawn,
            seeds=2,
        ),
        Case(SETTINGS, "no augmentation", {"augmentation": as_is}, **drawn, seeds=2),
        Case(
            SETTINGS, "turns and flips alone", {"augmentation": AugmentSettings(**no_tone)}, **drawn, seeds=2
        ),
        Case(SETTINGS, "32 layers", network(layers=32), **drawn, seeds=2),
        Case(SETTINGS, "30 layers, dilations 1…10", network(layers=30, dilations=TEN), **drawn, seeds=2),
        Case(SETTINGS, "dilations 1, 2, 4", network(dilations=(1, 2, 4)), **drawn, seeds=2),
        Case(SETTINGS, "class weight 1", {"class_weight": 1.0}, **drawn, seeds=2),
        Case(SETTINGS, "Dice term 0.5", {"dice_weight": 0.5}, **drawn, seeds=2),
        Case(SETTINGS, "patch 24³", {"patch_voxels": 24}, **drawn, seeds=2),
        Case(SETTINGS, "patch 48³", {"patch_voxels": 48}, **drawn, seeds=2),
        Case(SETTINGS, "true membranes", membranes="true", seeds=2),
        Case(SETTINGS, "second pass at bin 2", {"bin_factor": 2}, membranes="coarse", seeds=2),
        Case(SETTINGS, "one pass of twice the time", **drawn, seconds=2 * SECONDS, seeds=2),
        Case(SETTINGS, "true membranes, cut by the wedge", membranes="seen"),
        Case(ROIS, "25 contacts", rois=25, **drawn, seeds=3),
        Case(ROIS, "25 buds", rois=25, **buds),
        Case(LONG, "50 contacts", **drawn, **LONGER, errors=True, seeds=2),
        long_buds,
        Case(LONG, "50 buds, 8 mistakes elsewhere rejected", **buds, refines=long_buds),
        Case(LONG, "10 contacts, one a tomogram", rois=10, spread=True, **drawn, **LONGER),
        Case(
            LONG,
            "10 contacts, one a tomogram, none held out",
            {"validation": ValidationSettings(held_out_fraction=0)},
            rois=10,
            spread=True,
            **drawn,
            drawing_seconds=LONGER["drawing_seconds"],
            seconds=480.0,
        ),
    ]


def run(case: Case, seed: int, folder: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """One training and its scores; where its errors lie, if the case asks for it (first seed)."""
    learned, taught = (learn_from_rejections if case.refines else learn)(case, seed, folder)
    found = {"cpu_s": learned.seconds, "steps": learned.steps, "threshold": learned.threshold}
    row = {**identity(case, seed), **found, **scored(case, learned, taught, folder)}
    return row, errors_of(case, learned, folder) if case.errors and seed == 0 else []


def main() -> None:
    """Train what is missing and print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--csv", type=Path, default=CSV, help="results, read and added to")
    parser.add_argument("--data", type=Path, default=Path(tempfile.gettempdir()) / "learning_study")
    parser.add_argument("--only", default="", help="part of a study's or a line's name")
    parser.add_argument("--train", action="store_true", help="train what the results lack")
    parser.add_argument("--quick", action="store_true", help="two short trainings, stored nowhere")
    parser.add_argument("--page", type=Path, help="Markdown page whose marked tables are replaced")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.quick:
        quick = [Case("quick", f"{n} contacts, 15 CPU-s", rois=n, seconds=15.0, seeds=1) for n in (10, 25)]
        return print(table([as_text(run(case, 0, options.data)[0]) for case in quick]))
    chosen = [case for case in cases() if options.only in f"{case.study}: {case.name}"]
    missing = missing_of(chosen, read_rows(options.csv))
    minutes = OVERHEAD * sum(case.budget_seconds for case, _ in missing) / 60
    print(f"{len(missing)} trainings to do, about {minutes:.0f} minutes of processor time", flush=True)
    for case, seed in missing if options.train else []:
        if case.learner == "unet" and importlib.util.find_spec("monai") is None:
            print(f"{case.name}: left out, MONAI is not installed")
            continue
        row, errors = run(case, seed, options.data)
        append_rows(options.csv, IDENTITY + RESULTS, [row])
        append_rows(options.csv.with_name(ERRORS), ERROR_COLUMNS, errors)
        print(f"{case.study}: {case.name}, seed {seed}: done", flush=True)
    tables = tables_of(read_rows(options.csv), read_rows(options.csv.with_name(ERRORS)))
    print("\n\n".join(f"{name}\n\n{lines}" for name, lines in tables.items()))
    if options.page:
        options.page.write_text(page_with(tables, options.page.read_text(encoding="utf-8")), encoding="utf-8")


def missing_of(chosen: Sequence[Case], rows: Sequence[dict[str, str]]) -> list[tuple[Case, int]]:
    """The trainings that have no row yet, every case's first seed before any second."""
    done = [{name: row[name] for name in IDENTITY} for row in rows]
    seeds = range(max((case.seeds for case in chosen), default=0))
    wanted = [(case, seed) for seed in seeds for case in chosen if seed < case.seeds]
    return [(case, seed) for case, seed in wanted if identity(case, seed) not in done]


if __name__ == "__main__":
    main()
