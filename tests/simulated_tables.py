"""Tables as `surfora run` writes them, of simulated tomograms whose truth is known."""

import numpy as np
import pandas as pd

GAP_NM, WIDER_NM = 20.0, 3.0
"""Mean gap of the first condition, and how much wider it is in the second."""
COUNT = 10
"""Mean number of contacts a tomogram in the first condition; the second has half as many."""
AREA_NM2 = 4000.0


def simulated_tables(tomograms=6, seed=0, grids=False):
    """contacts, contact_curve, surfaces and tomograms as data frames, "wt" and "ko"."""
    rng = np.random.default_rng(seed)
    contacts, curve, surfaces, listed = [], [], [], []
    for condition in ("wt", "ko"):
        for k in range(tomograms):
            name = f"{condition}_{k + 1:02d}"
            grid = f"g{k % 3 + 1}" if grids else ""
            listed.append({"name": name, "condition": condition, "grid": grid, "exclude": ""})
            gap = GAP_NM + WIDER_NM * (condition == "ko") + rng.normal(0, 0.8)
            count = rng.poisson(COUNT if condition == "wt" else COUNT / 2)
            own = [contact(name, at, gap, rng) for at in range(count)]
            contacts += own
            curve += curve_rows(name, own)
            surfaces += [surface(name, label, rng) for label in ("OMM", "ER")]
    return {
        "contacts": pd.DataFrame(contacts),
        "contact_curve": pd.DataFrame(curve),
        "surfaces": pd.DataFrame(surfaces),
        "tomograms": pd.DataFrame(listed),
    }


def contact(tomogram, at, gap_nm, rng):
    inside = 0.01 + rng.normal(0, 0.003)
    return {
        "contact": at + 1,
        "name": f"{tomogram}__membranes_OMM",
        "kind": "medial",
        "label": "OMM",
        "target": f"{tomogram}__membranes_ER",
        "target_kind": "medial",
        "target_label": "ER",
        "tomogram": tomogram,
        "contact_distance_nm": 30.0,
        "contact_area_nm2": AREA_NM2 * rng.lognormal(0, 0.6),
        "gap_mean_nm": gap_nm + rng.normal(0, 2),
        "gap_sd_nm": 2.0 + rng.random(),
        "mean_curvature_inside_per_nm": inside,
        "mean_curvature_outside_per_nm": inside - 0.004 + rng.normal(0, 0.001),
    }


def curve_rows(tomogram, contacts):
    """The area nearer than each threshold, every contact's gap spread evenly over ± two SD."""
    rows = []
    for threshold in np.arange(5.0, 45.0, 5.0):
        share = [np.clip((threshold - c["gap_mean_nm"]) / (4 * c["gap_sd_nm"]) + 0.5, 0, 1) for c in contacts]
        area = float(sum(s * c["contact_area_nm2"] for s, c in zip(share, contacts, strict=True)))
        named = {"name": f"{tomogram}__membranes_OMM", "tomogram": tomogram}
        rows.append({**named, "contact_distance_nm": threshold, "contact_area_nm2": area})
    return rows


def surface(tomogram, label, rng):
    return {
        "name": f"{tomogram}__membranes_{label}",
        "kind": "medial",
        "label": label,
        "roi": np.nan,
        "tomogram": tomogram,
        "area_nm2": 90_000.0 * rng.lognormal(0, 0.2),
        "mean_curvature_median_per_nm": (0.012 if label == "OMM" else 0.004) + rng.normal(0, 0.001),
        "roughness_median_nm": 0.3 + rng.random() * 0.05,
    }


def write_tables(folder, tables, of_tomograms=False):
    """The tables pooled in a folder, or a folder a tomogram without a column that tells it."""
    folder.mkdir(parents=True, exist_ok=True)
    tables["tomograms"].to_csv(folder / "tomograms.csv", index=False)
    for kind in ("contacts", "contact_curve", "surfaces"):
        if not of_tomograms:
            tables[kind].to_csv(folder / f"{kind}.csv", index=False)
            continue
        for name in tables["tomograms"]["name"]:
            own = tables[kind][tables[kind]["tomogram"] == name].drop(columns="tomogram")
            place = folder / "surfaces" / name
            place.mkdir(parents=True, exist_ok=True)
            own.to_csv(place / f"{kind}.csv", index=False)
    return folder
