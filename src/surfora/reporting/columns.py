"""Every column of surfaces.csv and distances.csv: what it is called on a page, its unit and its meaning."""

from __future__ import annotations

from tomocore.columns import Column

COLUMNS = (
    Column("name", "surface", meaning="the surface; also the start of its files' names"),
    Column(
        "kind",
        "of the membrane",
        meaning="middle of the membrane, its whole boundary, or one of the leaflets that it is cut into",
    ),
    Column("label", "label", "", "label of the membrane in a labelled mask", detail=True),
    Column("roi", "ROI", "", "number of the region of interest it lies in", detail=True),
    Column("source", "mask", "", "mask file", detail=True),
    Column(
        "filled", "filled", "", "whether the mask is a filled body, measured by its boundary", detail=True
    ),
    Column("removed_pieces", "pieces removed", "", "pieces of the mask too small for cleaning", detail=True),
    Column("removed_share", "share removed", "", "share of the mask that these pieces were", detail=True),
    Column("area_nm2", "area", "nm²", "area of the triangles"),
    Column("volume_nm3", "volume inside", "nm³", "volume inside, for closed surfaces only"),
    Column("is_closed", "closed", "", "whether the surface has no open border"),
    Column("components", "pieces", "", "connected pieces", detail=True),
    Column("boundary_loops", "borders", "", "closed chains of border edges: outlines and holes", detail=True),
    Column("boundary_length_nm", "length of borders", "nm", "length of all borders", detail=True),
    Column(
        "cut_length_nm",
        "of it, cut by the ROI",
        "nm",
        "of the borders, where the ROI cuts a membrane that goes on",
        detail=True,
    ),
    Column("vertices", "points", "", "points of the mesh", detail=True),
    Column("triangles", "triangles", "", "triangles of the mesh", detail=True),
    Column(
        "thickness_nm", "thickness of the mask", "nm", "thickness of the mask, from its distance transform"
    ),
    Column(
        "bilayer_thickness_median_nm",
        "thickness between the mask's leaflets, median",
        "nm",
        "median over area of the distance straight through to the other leaflet of the mask's boundary",
    ),
    Column(
        "thickness_peak_to_peak_median_nm",
        "thickness peak to peak, median",
        "nm",
        "median over area of the distance between the leaflets' peaks in the tomogram's density",
    ),
    Column(
        "thickness_peak_to_peak_q25_nm",
        "thickness peak to peak, 25 % quantile",
        "nm",
        "lower quartile over area of that distance",
        detail=True,
    ),
    Column(
        "thickness_peak_to_peak_q75_nm",
        "thickness peak to peak, 75 % quantile",
        "nm",
        "upper quartile over area of that distance",
        detail=True,
    ),
    Column(
        "density_area_share",
        "area told by the density",
        "%",
        "share of the area where the tomogram's density tells of the membrane: not in the wedge, at rims, "
        "beside other membranes or at the tomogram's border, and like two leaflets",
        detail=True,
    ),
    Column(
        "leaflet_asymmetry_median",
        "asymmetry of the leaflets, median",
        "",
        "median over area of (outer − inner) / (outer + inner) of the leaflets' heights over the background",
        detail=True,
    ),
    Column(
        "density_middle_offset_median_nm",
        "middle of the density, median",
        "nm",
        "median over area of the way along the normal from the surface to the density's middle",
        detail=True,
    ),
    Column(
        "density_contrast_median",
        "contrast of the membrane, median",
        "",
        "median over area of the leaflets' height over the background in the tomogram's grey values; below 0 "
        "where membranes are dark",
        detail=True,
    ),
    Column(
        "curvature_area_share",
        "area with a curvature",
        "%",
        "share of the area with a curvature (not at the border)",
        detail=True,
    ),
    Column(
        "mean_curvature_median_per_nm",
        "mean curvature, median",
        "1/nm",
        "median over area of H; H > 0 bends outward along the normal",
    ),
    Column("mean_curvature_mean_per_nm", "mean curvature, mean", "1/nm", "mean over area of H", detail=True),
    Column(
        "mean_curvature_sd_per_nm",
        "mean curvature, SD",
        "1/nm",
        "standard deviation over area of H",
        detail=True,
    ),
    Column(
        "gaussian_curvature_median_per_nm2",
        "Gaussian curvature, median",
        "1/nm²",
        "median over area of K = k1 k2",
        detail=True,
    ),
    Column(
        "radius_of_curvature_median_nm", "radius of curvature, median", "nm", "median over area of 1 / |H|"
    ),
    Column(
        "curvature_scale_median_nm",
        "scale of curvature, median",
        "nm",
        "median radius of the neighbourhoods that curvature was fitted in",
        detail=True,
    ),
    Column(
        "curvature_confidence_mean",
        "confidence of curvature, mean",
        "",
        "0 to 1: neighbours, fit and distance to the border, mean over area",
        detail=True,
    ),
    Column(
        "roughness_median_nm",
        "roughness, median",
        "nm",
        "median over area of the height left above the cut-off wavelength (RMS)",
    ),
    Column(
        "roughness_floor_nm",
        "roughness of voxels alone",
        "nm",
        "roughness that voxels alone give to a smooth membrane; less cannot be seen",
        detail=True,
    ),
    Column(
        "measured_area_share",
        "area seen",
        "%",
        "share of the area that the tilt series reached and voxels support",
        detail=True,
    ),
    Column(
        "extrapolated_area_share",
        "area in the missing wedge",
        "%",
        "share of the area that faces into the missing wedge: continued, not seen",
    ),
    Column(
        "unsupported_area_share",
        "area without voxels",
        "%",
        "share of the area with no voxel of the mask near it",
        detail=True,
    ),
    Column(
        "outside_valid_area_share",
        "area outside the valid region",
        "%",
        "share of the area that lies outside the lamella, ice or slab that was given as valid",
    ),
    Column(
        "valid_region_depth_median_nm",
        "depth in the valid region, median",
        "nm",
        "median over area of the distance to the nearest face of the valid region; below 0 outside of it",
        detail=True,
    ),
    Column(
        "valid_region_depth_min_nm",
        "depth in the valid region, least",
        "nm",
        "least distance to a face of the valid region; below 0 outside of it",
        detail=True,
    ),
    Column(
        "area_with_evidence_nm2",
        "area seen",
        "nm²",
        "area that was measured: neither in the wedge nor unsupported",
        detail=True,
    ),
    Column(
        "mean_curvature_median_with_evidence_per_nm",
        "mean curvature where seen, median",
        "1/nm",
        "median of H over that area alone",
        detail=True,
    ),
    Column(
        "radius_of_curvature_median_with_evidence_nm",
        "radius of curvature where seen, median",
        "nm",
        "median of 1 / |H| over that area alone",
        detail=True,
    ),
    Column(
        "orientation_rule",
        "side of the normals by",
        "",
        "what decided which side the normals point to",
        detail=True,
    ),
    Column(
        "orientation_confidence",
        "confidence of that side",
        "",
        "0 (a toss-up) to 1, mean over the points",
        detail=True,
    ),
    Column("provenance", "run", "", "id of the run in run.json", detail=True),
    Column("target", "measured to", "", "the surface that distances are measured to"),
    Column(
        "target_kind",
        "of that membrane",
        "",
        "medial for the middle; a leaflet is measured to its partner's whole boundary",
        detail=True,
    ),
    Column("area_measured_nm2", "area measured", "nm²", "area with a distance", detail=True),
    Column("mean_nm", "gap, mean", "nm", "mean over area of the distance to the nearest point of the target"),
    Column("sd_nm", "gap, SD", "nm", "standard deviation over area of that distance"),
    Column("min_nm", "smallest gap", "nm", "smallest distance"),
    Column("q05_nm", "5 % quantile", "nm", "5th percentile over area"),
    Column("q25_nm", "25 % quantile", "nm", "lower quartile over area", detail=True),
    Column("median_nm", "gap, median", "nm", "median over area"),
    Column("q75_nm", "75 % quantile", "nm", "upper quartile over area", detail=True),
    Column("q95_nm", "95 % quantile", "nm", "95th percentile over area"),
    Column("max_nm", "largest gap", "nm", "largest distance", detail=True),
    Column(
        "contact_distance_nm",
        "contact below",
        "nm",
        "a place counts as contact below this distance",
        detail=True,
    ),
    Column(
        "contact_area_nm2",
        "area in contact",
        "nm²",
        "area closer to the target than the contact distance",
    ),
    Column(
        "contact_mean_nm",
        "gap in contact, mean",
        "nm",
        "mean over the contact's area of the distance",
        detail=True,
    ),
    Column(
        "contact_sd_nm",
        "gap in contact, SD",
        "nm",
        "standard deviation over the contact's area of the distance",
        detail=True,
    ),
    Column(
        "along_normal_median_nm",
        "gap along the normal, median",
        "nm",
        "median over area of the distance straight along the normal to the first hit, where it hits",
        detail=True,
    ),
    Column(
        "along_normal_miss_share",
        "normals that miss",
        "%",
        "share of the area whose normal meets the target on neither side",
        detail=True,
    ),
    Column(
        "contact_along_normal_median_nm",
        "gap along the normal in contact, median",
        "nm",
        "the same over the contact's area",
        detail=True,
    ),
    Column(
        "contact_along_normal_miss_share",
        "normals in contact that miss",
        "%",
        "share of the contact's area whose normal meets the target on neither side",
        detail=True,
    ),
    Column(
        "mean_with_evidence_nm",
        "gap where seen, mean",
        "nm",
        "mean distance over the area that was measured alone",
        detail=True,
    ),
    Column(
        "median_with_evidence_nm",
        "gap where seen, median",
        "nm",
        "median distance over the area that was measured alone",
        detail=True,
    ),
    Column(
        "contact_area_with_evidence_nm2",
        "area in contact and seen",
        "nm²",
        "contact area that was measured",
        detail=True,
    ),
    Column(
        "seen_share",
        "in line of sight",
        "%",
        "share of the area that sees its nearest point, with nothing of its own surface between",
        detail=True,
    ),
    Column("tomogram", "tomogram", "", "the tomogram of the project"),
    Column("voxel_size_nm", "voxel edge", "nm", "voxel edge of the mask", detail=True),
    Column(
        "target_label", "label of that membrane", "", "label of the target in a labelled mask", detail=True
    ),
)
"""A column each, in the order in which the files have them."""

_NAMED = ("name", "kind", "label", "roi")
_FIRST_OF_DISTANCES = next(k for k, column in enumerate(COLUMNS) if column.key == "target")
SURFACE_COLUMNS = (
    *COLUMNS[:_FIRST_OF_DISTANCES],
    *(column for column in COLUMNS if column.key in ("tomogram", "voxel_size_nm")),
)
"""Those of surfaces.csv."""
DISTANCE_COLUMNS = (
    *(column for column in COLUMNS if column.key in _NAMED),
    *(column for column in COLUMNS[_FIRST_OF_DISTANCES:] if column.key != "voxel_size_nm"),
)
"""Those of distances.csv."""

CONTACT_COLUMNS = (
    Column("contact", "contact", "", "two membranes that were measured to each other"),
    Column("between", "between", "", "what of the two membranes the gap lies between"),
    Column(
        "gap",
        "gap, mean ± SD",
        "nm",
        "mean and standard deviation of the distance to the nearest point of the other membrane, over the "
        "area of both",
    ),
    Column("min_nm", "smallest gap", "nm", "smallest distance"),
    Column(
        "contact_area_nm2",
        "area in contact",
        "nm²",
        "area closer to the other membrane than the contact distance; the mean of both membranes",
    ),
    Column("contact_gap", "gap in contact, mean ± SD", "nm", "the same over the area in contact alone"),
)
"""The columns of the table of contacts, which no file has: each joins two rows of distances.csv."""

KIND_WORDS = {
    "medial": "middle",
    "isosurface": "boundary",
    "inner": "inner leaflet",
    "outer": "outer leaflet",
}
"""What the kinds of surfaces are called on a page."""


def kind_in_words(kind: str) -> str:
    """``middle`` of ``medial``, and so on; a kind that is not known stays as it is."""
    return KIND_WORDS.get(kind, kind)
