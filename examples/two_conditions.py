"""Two conditions of which one has half as many contacts, 3 nm wider: from new tomograms to what differs.

    python examples/two_conditions.py --output two_conditions [--slurm | --workflow] [--count 6]

A network learns contacts from three synthetic tomograms. Of twelve others, six a condition, `tomosurf new`
makes a project, `tomosurf run` finds and measures their contacts, and its report says what differs. The
differences are printed beside those that were planted; a further run finds nothing to do.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd

SEEDS = {"wt": 11, "ko": 12}
PHANTOMS = """\
[phantom]
shape_zyx = [44, 112, 112]
voxel_size_nm = 2.0

[phantom.scene]
contacts = {contacts}
gap_nm = {gap_nm}
contact_limit_nm = 30.0
near_miss_nm = 34.0
vesicle_radius_nm = [20.0, 30.0]
organelle_share = 0.0
neighbour_share = 0.3
tubes = 0
near_misses = 0
nested = 0
gold_beads = 0.0
carbon_share = 0.0
"""
PLANTED = {"wt": ([2, 4], [11.0, 13.0]), "ko": ([1, 2], [14.0, 16.0])}
"""Fewest and most contacts of a tomogram, and least and greatest nearest gap of a contact in nm."""
LEARNED_FROM = ([2, 5], [10.5, 16.5])
# Steps, not minutes, so that a busy machine takes longer and finds the same.
LEARNING = """\
[train]
bin_factor = 2
steps = 1000

[train.network]
layers = 12
"""
FOR_SLURM = {"threads": 1, "minutes": 30, "poll_seconds": 2}
"""Settings of [cluster]: small jobs, looked at often."""
MEASURES = {"count": "contacts a tomogram", "gap_min_nm": "smallest gap (nm)", "gap_mean_nm": "mean gap (nm)"}
COUNT_DIFFERENCE, GAP_DIFFERENCE_NM = -1.5, 3.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("two_conditions"))
    parser.add_argument("--count", type=int, default=6, help="tomograms a condition")
    parser.add_argument("--workflow", action="store_true", help="run steps as jobs on this machine")
    parser.add_argument("--slurm", action="store_true", help="run steps as jobs of Slurm")
    asked = parser.parse_args()
    folder = asked.output
    (folder / "tomograms").mkdir(parents=True, exist_ok=True)
    make_phantoms(folder, "training", 1, 3, LEARNED_FROM)
    for condition, seed in SEEDS.items():
        make_phantoms(folder, "tomograms", seed, asked.count, PLANTED[condition])
    train(folder)
    if not (folder / "project.toml").exists():
        run("tomosurf new", folder)
        write_conditions(folder / "tomograms.csv")
    if asked.slurm:
        change_settings(folder / "project.toml", FOR_SLURM)
    run("tomosurf validate", folder)
    way = ["--slurm"] if asked.slurm else ["--workflow"] if asked.workflow else ["-j", "1"]
    run("tomosurf run", folder, *way)
    print_differences(folder)
    run("tomosurf run", folder, *way)
    print(f"\nreport: {folder / 'results' / 'report.html'}")


def make_phantoms(folder: Path, place: str, seed: int, count: int, planted: tuple[list, list]) -> None:
    """Tomograms of one seed, with so many contacts of such gaps."""
    settings = folder / f"phantoms_{seed}.toml"
    settings.write_text(PHANTOMS.format(contacts=planted[0], gap_nm=planted[1]), encoding="utf-8")
    words = ("--seed", seed, "--count", count, "-s", settings, "-j", 1, "-o", folder / place)
    run("tomorois phantom --kind contacts", *words)


def train(folder: Path) -> None:
    """A network that finds contacts in tomograms with the membranes beside them."""
    training, model, settings = folder / "training", folder / "model.safetensors", folder / "learning.toml"
    settings.write_text(LEARNING, encoding="utf-8")
    if not model.exists():
        files = ("--tomograms", training, "--labels", training, "--membranes", training)
        run("tomorois train", *files, "-s", settings, "-o", model)


def write_conditions(path: Path) -> None:
    """Fill in the condition of each tomogram in the table that `tomosurf new` wrote."""
    table = pd.read_csv(path, dtype=str)
    of_seed = {f"s{seed}": condition for condition, seed in SEEDS.items()}
    table["condition"] = [of_seed[name.split("_")[1]] for name in table["name"]]
    table.to_csv(path, index=False)


def change_settings(path: Path, values: dict[str, int]) -> None:
    """Write other values into the lines of settings of a project file."""
    text = path.read_text(encoding="utf-8")
    for name, value in values.items():
        text = re.sub(rf"(?m)^{name} = .*$", f"{name} = {value}", text)
    path.write_text(text, encoding="utf-8")


def run(command: str, *more: object) -> None:
    """Run one command of the tools beside this Python, saying it first."""
    words = [*command.split(), *map(str, more)]
    print(f"\n$ {' '.join(words)}", flush=True)
    status = subprocess.run([str(Path(sys.executable).parent / words[0]), *words[1:]]).returncode
    if status != 0:
        sys.exit(status)


def true_differences(folder: Path) -> dict[str, float]:
    """The differences, ko less wt, of the tomograms as they were drawn, by measure."""
    rows = []
    for path in sorted((folder / "tomograms").glob("*__truth.csv")):
        contacts = pd.read_csv(path)
        means = {key: contacts[key].mean() for key in ("gap_min_nm", "gap_mean_nm")}
        rows.append({"seed": path.name.split("_")[1], "count": len(contacts), **means})
    means = pd.DataFrame(rows).groupby("seed").mean()
    return (means.loc[f"s{SEEDS['ko']}"] - means.loc[f"s{SEEDS['wt']}"]).to_dict()


def print_differences(folder: Path) -> None:
    """The differences that the report states, with their intervals, beside those that were planted."""
    found = pd.read_csv(folder / "results" / "comparison" / "comparisons.csv")
    found = found[(found["table"] == "contacts") & found["measure"].isin(MEASURES)].set_index("measure")
    drawn = true_differences(folder)
    planted = {"count": COUNT_DIFFERENCE, "gap_min_nm": GAP_DIFFERENCE_NM}
    rows = []
    for measure, words in MEASURES.items():
        row = found.loc[measure]
        sign = 1 if row["second"] == "ko" else -1
        low, high = sorted((sign * row["difference_low"], sign * row["difference_high"]))
        truths = [value for value in (planted.get(measure), drawn[measure]) if value is not None]
        rows.append(
            {
                "ko - wt": words,
                "measured": sign * row["difference"],
                "from": low,
                "to": high,
                "drawn": drawn[measure],
                "planted": planted.get(measure),
                "p": row["p"],
                "holds": all(low <= value <= high for value in truths),
            }
        )
    print(f"\n{pd.DataFrame(rows).to_string(index=False, float_format='%.3g', na_rep='–')}")


if __name__ == "__main__":
    main()
