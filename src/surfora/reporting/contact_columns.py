"""Every column of contacts.csv and contact_curve.csv: what it is called, its unit and its meaning."""

from __future__ import annotations

from surfora.reporting.columns import COLUMNS
from tomocore.columns import Column, column_of

NAMED = ("name", "kind", "label", "target", "target_kind", "target_label", "roi", "tomogram")
GAP_FROM = "distance to the nearest point of the other membrane, over the area of both sides"
BOTH_SIDES = (
    ("", "", "of the first membrane"),
    ("target_", ", other side", "of the other membrane"),
)


def _sides(key: str, heading: str, unit: str, meaning: str, detail: bool = True) -> tuple[Column, ...]:
    """A column of either side; ``{}`` in the meaning says of which membrane."""
    return tuple(
        Column(f"{prefix}{key}", f"{heading}{more}", unit, meaning.format(whose), detail or bool(prefix))
        for prefix, more, whose in BOTH_SIDES
    )


def _in_and_out(key: str, heading: str, unit: str, what: str) -> tuple[Column, ...]:
    """A measure's median within a contact and outside all contacts, of either side."""
    return tuple(
        column
        for where, words in (("inside", "within the contact"), ("outside", "outside all contacts"))
        for column in _sides(
            key.format(where), f"{heading} {where}", unit, f"median over area {words} of {what}, {{}}"
        )
    )


OBJECT_COLUMNS = (
    Column("contact", "contact", "", "number of the contact, the same on both membranes"),
    *(column_of(key, COLUMNS) for key in NAMED if key != "tomogram"),
    Column("contact_distance_nm", "contact below", "nm", "the threshold: what is nearer is contact", True),
    *(
        Column(f"centre_{axis}_nm", f"centre, {axis}", "nm", f"{axis} of the contact's centre of area", True)
        for axis in "xyz"
    ),
    *_sides("contact_area_nm2", "area", "nm²", "area within the threshold, {}", detail=False),
    *_sides("patches", "patches", "", "connected areas that make the contact, {}"),
    Column("gap_mean_nm", "gap, mean", "nm", f"mean {GAP_FROM}"),
    Column("gap_sd_nm", "gap, SD", "nm", f"standard deviation of the {GAP_FROM}"),
    Column("gap_min_nm", "smallest gap", "nm", "smallest distance between both sides"),
    Column("gap_q05_nm", "gap, 5 % quantile", "nm", f"5th percentile of the {GAP_FROM}", True),
    Column("gap_q25_nm", "gap, 25 % quantile", "nm", f"lower quartile of the {GAP_FROM}", True),
    Column("gap_median_nm", "gap, median", "nm", f"median {GAP_FROM}", True),
    Column("gap_q75_nm", "gap, 75 % quantile", "nm", f"upper quartile of the {GAP_FROM}", True),
    Column("gap_q95_nm", "gap, 95 % quantile", "nm", f"95th percentile of the {GAP_FROM}", True),
    Column(
        "gap_along_normal_median_nm",
        "gap along the normal, median",
        "nm",
        "median distance straight along the normal to the first hit of the other membrane, where it hits",
        True,
    ),
    Column(
        "normal_miss_share",
        "normals that miss",
        "%",
        "share of the area whose normal meets the other membrane on neither side",
        True,
    ),
    Column(
        "gap_difference_nm",
        "difference of the sides",
        "nm",
        "mean gap seen from the first membrane less that seen from the other one",
        True,
    ),
    Column("length_nm", "length", "nm", "long axis of the ellipse with the contact's second moments"),
    Column("width_nm", "width", "nm", "its second axis; of a flat disc, both are the diameter"),
    Column("elongation", "elongation", "", "length over width", True),
    *_sides("rim_length_nm", "rim", "nm", "length of the contact's rim, holes included, {}"),
    *_sides("border_length_nm", "rim at the border", "nm", "what of the rim is the open border {}"),
    Column(
        "cut_by",
        "cut by",
        "",
        "what cut it off: the border of the mask, of the ROI, or both; empty where it is whole",
    ),
    Column(
        "facing_deg",
        "angle between the normals",
        "°",
        "mean angle, 180 where outer sides face each other, 0 where one membrane lies within the other",
    ),
    *_sides(
        "way_deg",
        "angle to the other side",
        "°",
        "mean angle from the normal to the way across, {}; 0 outside",
    ),
    *_sides(
        "turned_away_share",
        "area turned away",
        "%",
        "share of the area whose partner lies on the other side than that of most, {}: a tubule's far side",
    ),
    *_sides(
        "beyond_border_share",
        "area beyond the other's border",
        "%",
        "share of the area, {}, whose nearest point lies on the open border of its partner",
    ),
    *_sides(
        "extrapolated_area_share",
        "area in the missing wedge",
        "%",
        "share of the area that faces into the missing wedge: continued, not seen; {}",
    ),
    *_sides(
        "outside_valid_area_share",
        "area outside the valid region",
        "%",
        "share of the area that lies outside the valid region, {}",
    ),
    *_sides(
        "valid_region_depth_median_nm",
        "depth in the valid region",
        "nm",
        "median distance to the nearest face of the valid region, below 0 outside, {}",
    ),
    *_sides("contact_area_with_evidence_nm2", "area seen", "nm²", "area that was measured, {}"),
    Column(
        "gap_mean_with_evidence_nm", "gap where seen, mean", "nm", "mean gap over the area measured", True
    ),
    Column(
        "gap_median_with_evidence_nm",
        "gap where seen, median",
        "nm",
        "median gap over the area measured",
        True,
    ),
    *_in_and_out("mean_curvature_{}_per_nm", "mean curvature", "1/nm", "H"),
    *_in_and_out("gaussian_curvature_{}_per_nm2", "Gaussian curvature", "1/nm²", "K"),
    *_in_and_out(
        "bilayer_thickness_{}_nm", "thickness", "nm", "the distance between the leaflets of the mask"
    ),
    *_in_and_out(
        "thickness_peak_to_peak_{}_nm",
        "thickness peak to peak",
        "nm",
        "the distance between the leaflets' peaks in the density",
    ),
    *_in_and_out("roughness_{}_nm", "roughness", "nm", "the roughness (RMS)"),
)
"""The columns of contacts.csv in the order in which it has them."""

CURVE_COLUMNS = (
    *(column_of(key, COLUMNS) for key in NAMED if key != "tomogram"),
    Column("contact_distance_nm", "contact below", "nm", "the threshold"),
    *_sides("contact_area_nm2", "area", "nm²", "area nearer than the threshold, {}", detail=False),
    Column("contacts", "contacts", "", "contacts at this threshold"),
    Column("is_chosen", "in contacts.csv", "", "whether contacts.csv has the contacts at this threshold"),
)
"""The columns of contact_curve.csv."""
