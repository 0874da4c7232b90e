"""The numbers of a contact: a row of contacts.csv."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from surfora.geometry.arrays import Floats, Mask
from surfora.geometry.surface import SurfaceMesh, boundary_edges, vertex_areas_nm2
from surfora.isosurface.roi_border import CUT
from surfora.measures.contacts.find import ALONG, BEYOND, BORDER, FACING, GAP, WAY, Contact, Contacts
from surfora.measures.statistics import weighted_mean, weighted_quantiles, weighted_standard_deviation
from surfora.measures.valid_region import depth_columns
from surfora.measures.wedge import EXTRAPOLATED, MEASURED

QUANTILES = {"q05": 0.05, "q25": 0.25, "median": 0.5, "q75": 0.75, "q95": 0.95}
INSIDE_AND_OUTSIDE = {
    "mean_curvature_{}_per_nm": "mean_curvature_per_nm",
    "gaussian_curvature_{}_per_nm2": "gaussian_curvature_per_nm2",
    "bilayer_thickness_{}_nm": "bilayer_thickness_nm",
    "thickness_peak_to_peak_{}_nm": "thickness_peak_to_peak_nm",
    "roughness_{}_nm": "roughness_nm",
}
"""Columns of a contact, ``{}`` standing for ``inside`` and ``outside``, and the arrays that they are of."""
TARGET = "target_"
"""What the columns of a contact's other membrane begin with."""


def contact_rows(contacts: Contacts, first: SurfaceMesh, second: SurfaceMesh) -> list[dict[str, Any]]:
    """A row a contact, largest first: place, areas, gap, rim, shape, angles, evidence, in- and outside.

    first, second: the whole membranes, of which what lies in no contact at all is a contact's outside.
    """
    outside = {
        "": _outside(first, contacts.first_ids == 0),
        TARGET: _outside(second, contacts.second_ids == 0),
    }
    return [_row(contact, contacts.threshold_nm, outside) for contact in contacts.found]


def _row(contact: Contact, threshold_nm: float, outside: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    sides = {"": contact.first, TARGET: contact.second}
    areas = {prefix: vertex_areas_nm2(side.vertices, side.faces) for prefix, side in sides.items()}
    both = list(sides.values())[: 1 if contact.is_fold else 2]
    halved = 0.5 if contact.is_fold else 1.0
    row: dict[str, Any] = {
        "contact": contact.number,
        "contact_distance_nm": threshold_nm,
        **dict(zip(("centre_x_nm", "centre_y_nm", "centre_z_nm"), _centre(both), strict=True)),
        **{f"{p}contact_area_nm2": halved * float(areas[p].sum()) for p in sides},
        **{f"{p}patches": count for p, count in zip(sides, contact.patches, strict=True)},
        **_gap(both, halved),
        "gap_difference_nm": 0.0 if contact.is_fold else _difference(both),
        **shape(both),
        **_rims(sides, halved),
        "facing_deg": weighted_mean(*_joined(both, FACING)),
    }
    for prefix, side in sides.items():
        weights = halved * areas[prefix]
        row[f"{prefix}way_deg"] = weighted_mean(side.data[WAY], weights)
        row[f"{prefix}turned_away_share"] = _turned_away(side.data[WAY], weights)
        row[f"{prefix}beyond_border_share"] = weighted_mean(side.data[BEYOND], weights)
        for name, value in (_evidence(side, weights) | depth_columns(side, weights)).items():
            row[prefix + name] = value
        for name, array in INSIDE_AND_OUTSIDE.items():
            if array in side.data:
                row[prefix + name.format("inside")] = _median(side.data[array], weights)
                row[prefix + name.format("outside")] = outside[prefix].get(array, np.nan)
    return row | _gap_with_evidence(both)


def _turned_away(way_deg: Floats, weights: Floats) -> float:
    """Share of the area whose partner lies on the other side than that of most, as a tubule's far side."""
    behind = weighted_mean(way_deg > 90, weights)
    return min(behind, 1 - behind)


def _outside(mesh: SurfaceMesh, chosen: Mask) -> dict[str, float]:
    """Medians over the area outside all contacts of the arrays that contacts are compared by."""
    areas = np.where(chosen, vertex_areas_nm2(mesh.vertices, mesh.faces), 0.0)
    return {
        name: _median(mesh.data[name], areas) for name in INSIDE_AND_OUTSIDE.values() if name in mesh.data
    }


def _gap(sides: Sequence[SurfaceMesh], halved: float) -> dict[str, float]:
    """The gap over the area of both sides: mean, SD, smallest, quantiles; along the normal; what misses."""
    gaps, areas = _joined(sides, GAP)
    along, _ = _joined(sides, ALONG)
    quantiles = weighted_quantiles(gaps, areas, list(QUANTILES.values()))
    known = np.isfinite(along)
    return {
        "gap_mean_nm": weighted_mean(gaps, areas),
        "gap_sd_nm": weighted_standard_deviation(gaps, areas),
        "gap_min_nm": float(gaps[areas > 0].min(initial=np.inf)),
        **{f"gap_{name}_nm": float(q) for name, q in zip(QUANTILES, quantiles, strict=True)},
        **(
            {}
            if halved
            < 1  # along the normal of a fold, the first hit is not known to be far along the surface
            else {
                "gap_along_normal_median_nm": _median(along, areas),
                "normal_miss_share": float(areas[~known].sum() / max(areas.sum(), np.finfo(float).tiny)),
            }
        ),
    }


def _difference(sides: Sequence[SurfaceMesh]) -> float:
    """Mean gap seen from the first side less that from the second, in nm."""
    own, other = (weighted_mean(*_joined([side], GAP)) for side in sides)
    return own - other


def _gap_with_evidence(sides: Sequence[SurfaceMesh]) -> dict[str, float]:
    if not all("evidence" in side.data for side in sides if len(side.faces)):
        return {}
    gaps, areas = _joined(sides, GAP)
    seen = np.concatenate([side.data["evidence"] for side in sides if len(side.faces)]) == MEASURED
    weights = np.where(seen, areas, 0.0)
    return {
        "gap_mean_with_evidence_nm": weighted_mean(gaps, weights),
        "gap_median_with_evidence_nm": _median(gaps, weights),
    }


def _evidence(side: SurfaceMesh, weights: Floats) -> dict[str, float]:
    """How much of one side was measured, as area and as the share that lies in the missing wedge."""
    if "evidence" not in side.data:
        return {}
    evidence, total = side.data["evidence"], max(float(weights.sum()), np.finfo(float).tiny)
    return {
        "extrapolated_area_share": float(weights[evidence == EXTRAPOLATED].sum()) / total,
        "contact_area_with_evidence_nm2": float(weights[evidence == MEASURED].sum()),
    }


def shape(sides: Sequence[SurfaceMesh]) -> dict[str, float]:
    """Length and width in nm of the ellipse with the area's second moments, straight through space.

    They are the diameter of a flat disc; of patches on both sides, each counts as much about its own centre.
    """
    moments = np.zeros((3, 3))
    whole = [side for side in sides if len(side.faces)]
    for side in whole:
        corners = side.vertices[side.faces]
        areas = 0.5 * np.linalg.norm(
            np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1
        )
        middles = corners.mean(axis=1)
        centre = areas @ middles / areas.sum()
        # second moments of a triangle: a twelfth of its corners', three quarters of its middle's
        spread = np.einsum("m,mki,mkj->ij", areas, corners - centre, corners - centre) / 12
        spread += 0.75 * np.einsum("m,mi,mj->ij", areas, middles - centre, middles - centre)
        moments += spread / areas.sum() / len(whole)
    width, length = 4 * np.sqrt(np.maximum(np.linalg.eigvalsh(moments)[1:], 0.0))
    elongation = length / width if width > 0 else np.nan
    return {"length_nm": float(length), "width_nm": float(width), "elongation": float(elongation)}


def _rims(sides: Mapping[str, SurfaceMesh], halved: float) -> dict[str, Any]:
    """Length of either rim, what of it is the membrane's own border, and what cut the membrane there."""
    row: dict[str, Any] = {}
    cut_by = set()
    for prefix, side in sides.items():
        edges = boundary_edges(side.faces)
        lengths = np.linalg.norm(np.diff(side.vertices[edges], axis=1)[:, 0], axis=1)
        at_border = side.data[BORDER][edges].all(axis=1)
        by_roi = side.data.get(CUT, np.zeros(len(side.vertices))).astype(bool)[edges].all(axis=1)
        row[f"{prefix}rim_length_nm"] = halved * float(lengths.sum())
        row[f"{prefix}border_length_nm"] = halved * float(lengths[at_border].sum())
        cut_by |= {"ROI"} if (at_border & by_roi).any() else set()
        cut_by |= {"mask"} if (at_border & ~by_roi).any() else set()
    return row | {"cut_by": " and ".join(sorted(cut_by))}


def _centre(sides: Sequence[SurfaceMesh]) -> list[float]:
    """The mean of both sides' centres of area, x, y, z in nm."""
    centres = []
    for side in sides:
        areas = vertex_areas_nm2(side.vertices, side.faces)
        if areas.sum() > 0:
            centres.append(areas @ side.vertices / areas.sum())
    return np.mean(centres, axis=0).tolist()


def _joined(sides: Sequence[SurfaceMesh], name: str) -> tuple[Floats, Floats]:
    """An array over the vertices of all sides, and the area of each in nm²."""
    values = np.concatenate([side.data[name] for side in sides])
    areas = np.concatenate([vertex_areas_nm2(side.vertices, side.faces) for side in sides])
    return values, areas


def _median(values: Floats, weights: Floats) -> float:
    return float(weighted_quantiles(values, weights, [0.5])[0])
