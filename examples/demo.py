"""The main job on synthetic tomograms, by the same commands a user types: find contacts, measure them.

    python examples/demo.py --output demo_output

Two networks are trained from scratch on ten tomograms: one draws membranes, the other sees that drawing
beside the tomogram and learns contact sites. They find contacts in three tomograms never seen; the membranes
are cut out by them, surfaces and distances measured, and the numbers printed beside the truth; those of the
first tomogram with 95 % intervals, by measuring it seven times.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from glob import glob
from pathlib import Path

import numpy as np
import pandas as pd

TRAINING_TOMOGRAMS = 10
UNSEEN_TOMOGRAMS = 3

# Steps, not minutes, so that a busy machine takes longer and finds the same.
DRAWING = """\
[train]
bin_factor = 2
steps = 1200
"""
LEARNING = """\
[train]
steps = 3000
"""
PROJECT = """\
tomograms = ["unseen"]
membranes = "unseen"
truth = "unseen"
model = "contacts.safetensors"
membrane_model = "membranes.safetensors"

[instances]
split = "contacts"
min_volume_nm3 = 14000.0  # half the smallest contact annotated for training
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("demo_output"))
    folder = parser.parse_args().output
    start = time.perf_counter()
    folder.mkdir(parents=True, exist_ok=True)
    run("tomorois phantom --kind contacts --seed 1 --count", TRAINING_TOMOGRAMS, "-o", folder / "training")
    run("tomorois phantom --kind contacts --seed 2 --count", UNSEEN_TOMOGRAMS, "-o", folder / "unseen")
    train_to_draw_membranes(folder)
    train_to_find_contacts(folder)
    (folder / "project.toml").write_text(PROJECT, encoding="utf-8")
    run("tomosurf run", folder)
    restrict_membranes(folder)
    measure_with_intervals(folder)
    print_headlines(folder)
    print(f"\nreport: {folder / 'results' / 'report.html'}")
    print(f"the demo took {time.perf_counter() - start:.0f} s")


def train_to_draw_membranes(folder: Path) -> None:
    """A network that draws membranes, and its drawing of the training tomograms."""
    training, model, settings = folder / "training", folder / "membranes.safetensors", folder / "drawing.toml"
    settings.write_text(DRAWING, encoding="utf-8")
    if not model.exists():
        more = ("-o", model, "-s", settings)
        run("tomorois train --tomograms", training, "--labels", training / "*__membranes.mrc", *more)
    run("tomorois predict", model, training, "-o", folder / "drawn")


def train_to_find_contacts(folder: Path) -> None:
    """A network that finds contacts in tomograms and the membranes drawn in them."""
    training, model, settings = folder / "training", folder / "contacts.safetensors", folder / "learning.toml"
    settings.write_text(LEARNING, encoding="utf-8")
    if not model.exists():
        more = ("--membranes", folder / "drawn", "-o", model, "-s", settings)
        run("tomorois train --tomograms", training, "--labels", training, *more)


def run(command: str, *more: object) -> None:
    """Run one command of the tools beside this Python, saying it first; names with a star as a shell does."""
    words = [*command.split(), *map(str, more)]
    print(f"\n$ {' '.join(words)}", flush=True)
    arguments = [file for word in words[1:] for file in (sorted(glob(word)) if "*" in word else [word])]
    status = subprocess.run([str(Path(sys.executable).parent / words[0]), *arguments]).returncode
    if status != 0:
        sys.exit(status)


def restrict_membranes(folder: Path) -> None:
    """The membranes within the ROIs found, as volumes for any other program."""
    for rois in sorted((folder / "results" / "rois").glob("*__rois.npz")):
        stem = rois.name.removesuffix("__rois.npz")
        target = folder / "results" / "restricted" / f"{stem}__restricted.mrc"
        membranes = folder / "unseen" / f"{stem}__membranes.mrc"
        run("tomorois restrict", membranes, "--rois", rois, "-o", target, "--overwrite")


def measure_with_intervals(folder: Path) -> None:
    """The contacts of the first tomogram once more, with an interval for each value."""
    rois = sorted((folder / "results" / "rois").glob("*__rois.npz"))[0]
    membranes = folder / "unseen" / f"{rois.name.removesuffix('__rois.npz')}__membranes.mrc"
    run("surfora run", membranes, "--rois", rois, "-o", folder / "intervals", "--intervals")


def print_headlines(folder: Path) -> None:
    """Scores against the truth, then gaps and curvatures measured beside the true ones."""
    metrics = json.loads((folder / "results" / "metrics.json").read_text())
    scores = {name: entry["value"] for name, entry in metrics["scores"].items()}
    counts = metrics["counts"]
    print("\nFinding contacts in tomograms never seen:")
    print(
        f"  {counts['tp']} of {counts['truth']} found; {counts['fp']} false positives, {counts['fn']} missed"
    )
    false, missed = scores["false_positive_rate"], scores["false_negative_rate"]
    print(f"  false positives {false:.1%}, false negatives {missed:.1%}")
    print(f"  Dice {scores['dice_pooled']:.3f}, IoU {scores['iou_pooled']:.3f} over all voxels")
    areas = areas_beside_truth(folder, metrics)
    if not areas.empty:
        print("\nContacts beside the true ones, with 95 % intervals where they were made (nm², nm):")
        print(areas.to_string(index=False, na_rep=""))
    contacts = contacts_beside_truth(folder, metrics)
    if contacts.empty:
        return
    print("\nMeasuring them, beside the truth:")
    print(contacts.to_string(index=False, float_format="%.3g", na_rep="–"))
    gap_error = (contacts["gap_nm"] - contacts["true_gap_nm"]).abs()
    radius_error = (contacts["radius_nm"] / contacts["true_radius_nm"] - 1).abs()
    print(f"  gap: median error {gap_error.median():.2f} nm")
    print(f"  radius of curvature: median error {radius_error.median():.1%}")


def areas_beside_truth(folder: Path, metrics: dict) -> pd.DataFrame:
    """A row a contact: area on the side of one membrane and gap, measured and true."""
    contacts = pd.read_csv(folder / "results" / "contacts.csv")
    intervals = pd.read_csv(folder / "intervals" / "intervals.csv").query("table == 'contacts'")
    rows = []
    for tomogram, roi, true in matched_contacts(folder, metrics):
        for _, one in contacts[(contacts["tomogram"] == tomogram) & (contacts["roi"] == roi)].iterrows():
            side = side_of(one, true)
            if side is not None:
                own = intervals[(intervals["name"] == one["name"]) & (intervals["contact"] == one["contact"])]
                own = own.set_index("measure")
                rows.append(
                    {
                        "tomogram": tomogram,
                        "contact": true["membranes"],
                        "true area": f"{true[f'contact_area_{side}_nm2']:.0f}",
                        "area": with_interval(one, own, "contact_area_nm2", 0),
                        "true gap": f"{true['gap_mean_nm']:.2f}",
                        "gap": with_interval(one, own, "gap_mean_nm", 2),
                        "cut by": one["cut_by"],
                    }
                )
    return pd.DataFrame(rows)


def with_interval(contact: pd.Series, intervals: pd.DataFrame, measure: str, digits: int) -> str:
    """A value of a contact, and its interval where there is one: 4755 (4620 to 4890)."""
    value = f"{contact[measure]:.{digits}f}"
    if measure not in intervals.index:
        return value
    return f"{value} ({intervals.low[measure]:.{digits}f} to {intervals.high[measure]:.{digits}f})"


def matched_contacts(folder: Path, metrics: dict) -> Iterator[tuple[str, int, pd.Series]]:
    """Tomogram and number of each ROI that was found rightly, and the row of its truth."""
    for tomogram in metrics["tomograms"]:
        truth = pd.read_csv(folder / "unseen" / f"{tomogram['name']}__truth.csv").set_index("id")
        for match in tomogram["matched"]:
            yield tomogram["name"], match["predicted"], truth.loc[match["truth"]]


def side_of(row: pd.Series, true: pd.Series) -> str | None:
    """Which membrane of a true contact a measured row is of: "a", "b" or neither."""
    return {true["membrane_a"]: "a", true["membrane_b"]: "b"}.get(int(row["label"]))


def contacts_beside_truth(folder: Path, metrics: dict) -> pd.DataFrame:
    """A row a matched contact and side: gap and radius of curvature, measured and true.

    Both are means over the area within the contact distance, on the side of one membrane.
    """
    surfaces = pd.read_csv(folder / "results" / "surfaces.csv")
    distances = pd.read_csv(folder / "results" / "distances.csv")
    rows = []
    for tomogram, roi, true in matched_contacts(folder, metrics):
        here = (distances["tomogram"] == tomogram) & (distances["roi"] == roi)
        for _, pair in distances[here].iterrows():
            side = side_of(pair, true)
            if side is None:
                continue
            surface = surfaces[surfaces["name"] == pair["name"]].iloc[0]
            rows.append(
                {
                    "tomogram": tomogram,
                    "contact": true["membranes"],
                    "membrane": int(pair["label"]),
                    "gap_nm": pair["contact_mean_nm"],
                    "true_gap_nm": true["gap_mean_nm"],
                    "least_gap_nm": pair["min_nm"],
                    "true_least_gap_nm": true["gap_min_nm"],
                    "radius_nm": 1 / abs(surface["mean_curvature_median_per_nm"]),
                    "true_radius_nm": 1 / abs(true[f"mean_curvature_{side}_per_nm"]),
                }
            )
    return pd.DataFrame(rows).replace([np.inf, -np.inf], np.nan)


if __name__ == "__main__":
    main()
