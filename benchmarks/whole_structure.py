"""From tomograms alone to surfaces: what it costs that no membrane mask comes from outside.

    python benchmarks/whole_structure.py [--output DIR] [--jobs N]

Two networks learn from the same phantoms by the same command: one where contacts are, one what a membrane
is. In tomograms never seen, contacts are found and measured twice: in the true membranes, and in those that
the second network drew. Then `crop` cuts the ROIs out, the membranes are drawn in each cut-out alone (as an
outside tool would), and `paste` puts them back.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from surfora.medial.points import medial_points
from tomocore.roiset import read_rois, union_mask
from tomocore.volumes.formats import read_volume, write_volume
from tomocore.volumes.volume import Volume

TRAINING, UNSEEN = 8, 2
PHANTOM = """\
[phantom]
shape_zyx = [64, 160, 160]
"""
ROI_SETTINGS = """\
[train]
steps = 1500
[train.validation]
checks = 4
"""
MEMBRANE_SETTINGS = """\
[train]
bin_factor = 1
steps = 900
[train.network]
layers = 12
dilations = [1, 2, 4]
[train.validation]
checks = 3
most_voxels = 2000000
[instances]
split = "none"
closing_nm = 0.0
max_hole_nm3 = 0.0
min_volume_nm3 = 8000.0
"""
PROJECT = """\
tomograms = ["../unseen"]
membranes = "../{membranes}"
truth = "../unseen"
model = "../rois.safetensors"
[instances]
split = "contacts"
min_volume_nm3 = 14000.0
"""


def run(folder: Path, command: str, *more: object) -> None:
    """Run one command of the tools in a folder; its words are printed, its output kept quiet."""
    words = [*command.split(), *map(str, more)]
    print(f"$ {' '.join(words)}", flush=True)
    result = subprocess.run(
        [str(Path(sys.executable).parent / words[0]), *words[1:]], cwd=folder, capture_output=True, text=True
    )
    if result.returncode != 0:
        sys.exit(result.stdout + result.stderr)


def make_and_train(folder: Path, jobs: int) -> None:
    """Phantoms, and the two networks."""
    for name, text in (("p", PHANTOM), ("r", ROI_SETTINGS), ("m", MEMBRANE_SETTINGS)):
        (folder / f"{name}.toml").write_text(text)
    for name, seed, count in (("training", 1, TRAINING), ("unseen", 2, UNSEEN)):
        run(
            folder,
            "tomorois phantom --kind contacts -s p.toml --seed",
            seed,
            "--count",
            count,
            "-o",
            name,
            "-j",
            jobs,
        )
    run(
        folder, "tomorois train --tomograms training --labels training -o rois.safetensors -s r.toml -j", jobs
    )
    membranes = sorted(path.relative_to(folder) for path in folder.glob("training/*__membranes.mrc"))
    words = ("-o", "membranes.safetensors", "-s", "m.toml", "-j", jobs)
    run(folder, "tomorois train --tomograms training --labels", *membranes, *words)


def draw_membranes(folder: Path, tomograms: str, output: str, jobs: int) -> None:
    """Membranes of tomograms as labels, <stem>__membranes.mrc, by the membrane network."""
    run(folder, "tomorois predict membranes.safetensors", tomograms, "-o", f"{output}_maps", "-j", jobs)
    run(
        folder,
        "tomorois instances",
        f"{output}_maps",
        "-o",
        f"{output}_rois",
        "-s",
        "m.toml",
    )
    (folder / output).mkdir(exist_ok=True)
    for path in sorted((folder / f"{output}_rois").glob("*__rois.mrc")):
        shutil.copy(path, folder / output / path.name.replace("__rois.mrc", "__membranes.mrc"))


def measure(folder: Path, name: str, membranes: str, jobs: int) -> None:
    """One project: the same ROI model, its contacts measured in these membranes."""
    (folder / name).mkdir(exist_ok=True)
    (folder / name / "project.toml").write_text(PROJECT.format(membranes=membranes))
    run(folder, "tomosurf run", name, "--jobs", jobs)


def mask_rows(folder: Path) -> list[dict[str, object]]:
    """How the drawn membranes compare with the true ones, everywhere and within the true ROIs."""
    rows = []
    for path in sorted((folder / "found").glob("*__membranes.mrc")):
        stem = path.name.split("__")[0]
        found = read_volume(path)
        true = read_volume(folder / "unseen" / path.name)
        rois = union_mask(read_rois(folder / "unseen" / f"{stem}__truth.npz")).data > 0
        rows.append(
            {
                "tomogram": stem,
                "Dice": dice(found.data > 0, true.data > 0),
                "Dice in ROIs": dice((found.data > 0) & rois, (true.data > 0) & rois),
                **middle_distances(found, true),
            }
        )
    return rows


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))


def middle_distances(found: Volume, true: Volume) -> dict[str, float]:
    """How far the middle of the drawn membranes lies off the true one, and what share of that is covered."""
    middles = [medial_points((v.data > 0), v.voxel_size_nm, v.origin_nm).points for v in (found, true)]
    off = cKDTree(middles[1]).query(middles[0])[0]
    covered = cKDTree(middles[0]).query(middles[1])[0]
    return {
        "middle off (median, nm)": float(np.median(off)),
        "true middle covered within 4 nm": float(np.mean(covered <= 4.0)),
        "drawn middle within 4 nm of a true one": float(np.mean(off <= 4.0)),
    }


def contact_rows(folder: Path, name: str) -> pd.DataFrame:
    """A row a true contact found: its gap and the radii of both sides, measured and true.

    Of an ROI with several pairs, that of the largest contact area counts.
    """
    results = folder / name / "results"
    distances, surfaces = (pd.read_csv(results / f"{what}.csv") for what in ("distances", "surfaces"))
    surfaces = surfaces.set_index("name")
    metrics = json.loads((results / "metrics.json").read_text())
    rows = []
    for tomogram in metrics["tomograms"]:
        truth = pd.read_csv(folder / "unseen" / f"{tomogram['name']}__truth.csv").set_index("id")
        for match in tomogram["matched"]:
            true = truth.loc[match["truth"]]
            here = distances[
                (distances["tomogram"] == tomogram["name"]) & (distances["roi"] == match["predicted"])
            ].dropna(subset=["contact_mean_nm"])
            if here.empty:
                continue
            best = here.sort_values("contact_area_nm2").iloc[-1]
            pair = here[here["name"].isin([best["name"], best["target"]])]
            rows.append(
                {
                    "contact": f"{tomogram['name']}:{match['truth']}",
                    "gap": pair["contact_mean_nm"].mean(),
                    "true_gap": true["gap_mean_nm"],
                    "curvature": surfaces.loc[pair["name"], "mean_curvature_median_per_nm"].abs().mean(),
                    "true_curvature": abs(
                        true[["mean_curvature_a_per_nm", "mean_curvature_b_per_nm"]]
                    ).mean(),
                }
            )
    return pd.DataFrame(rows)


def crop_and_paste(folder: Path, jobs: int) -> float:
    """Dice, within the ROIs' cut-outs, of membranes drawn in each cut-out with those drawn in the whole."""
    stem = sorted((folder / "true" / "results" / "rois").glob("*__rois.npz"))[0].name.split("__")[0]
    rois = f"true/results/rois/{stem}__rois.npz"
    run(folder, f"tomorois crop unseen/{stem}.mrc --rois {rois} --margin 30 -o crops")
    (folder / "alone").mkdir(exist_ok=True)
    cut = sorted(path for path in (folder / "crops").glob("*.mrc"))
    for path in cut:
        write_volume(folder / "alone" / f"{path.stem.replace('__', '-')}.mrc", read_volume(path))
    draw_membranes(folder, "alone", "drawn", jobs)
    (folder / "masks").mkdir(exist_ok=True)
    for path in sorted((folder / "drawn").glob("*.mrc")):
        mask = read_volume(path)
        name = path.name.replace("-", "__").replace("__membranes", "_mask")
        write_volume(folder / "masks" / name, mask.with_data((mask.data > 0).astype(np.int8)))
    masks = sorted(str(path.relative_to(folder)) for path in (folder / "masks").glob("*.mrc"))
    places = ("--crops", f"crops/{stem}__crops.csv", "--like", f"unseen/{stem}.mrc")
    run(folder, "tomorois paste", *masks, *places, "-o", "pasted.mrc", "--overwrite")
    inside = union_mask(read_rois(folder / rois)).data > 0
    whole = read_volume(folder / "found" / f"{stem}__membranes.mrc").data > 0
    return dice((read_volume(folder / "pasted.mrc").data > 0) & inside, whole & inside)


def table(rows: pd.DataFrame) -> str:
    """A Markdown table."""
    cells = [
        [f"{v:.3g}" if isinstance(v, float) else str(v) for v in row] for row in rows.itertuples(index=False)
    ]
    lines = [list(rows.columns), ["---"] * rows.shape[1], *cells]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--output", type=Path, default=None)
    parser.add_argument("--jobs", type=int, default=2)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (chosen.output or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        report(folder, chosen.jobs)


def report(folder: Path, jobs: int) -> None:
    make_and_train(folder, jobs)
    draw_membranes(folder, "unseen", "found", jobs)
    for name, membranes in (("true", "unseen"), ("drawn_only", "found")):
        measure(folder, name, membranes, jobs)
    print("\nDrawn membranes beside the true ones\n\n" + table(pd.DataFrame(mask_rows(folder))))
    rows = []
    for name, told in (("true", "true masks"), ("drawn_only", "no mask from outside")):
        counts = json.loads((folder / name / "results" / "metrics.json").read_text())["counts"]
        found = contact_rows(folder, name)
        gap, bend = found["gap"] - found["true_gap"], found["curvature"] / found["true_curvature"] - 1
        rows.append(
            {
                "membranes": told,
                "contacts found": f"{counts['tp']} of {counts['truth']}",
                "false positives": str(counts["fp"]),
                "gap error, median (nm)": gap.abs().median(),
                "gap bias (nm)": gap.mean(),
                "curvature error, median": bend.abs().median(),
            }
        )
    print("\nTomogram to contact measures\n\n" + table(pd.DataFrame(rows)))
    print(
        f"\nROIs cut out, drawn alone and pasted back: Dice {crop_and_paste(folder, jobs):.3f} with the whole"
    )


if __name__ == "__main__":
    main()
