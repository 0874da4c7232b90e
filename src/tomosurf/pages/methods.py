"""What was done, as a paper says it: the parameters that results were made with, and the references."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tomocore.page import Section, shown
from tomosurf.pages.runs import SOFTWARE, ProjectRuns, grouped, versions_text
from tomosurf.project import Project

REFERENCES = {
    "Pelt & Sethian 2018": "Pelt DM, Sethian JA (2018). A mixed-scale dense convolutional neural network for "
    "image analysis. PNAS 115, 254–259.",
    "Cazals & Pouget 2005": "Cazals F, Pouget M (2005). Estimating differential quantities using polynomial "
    "fitting of osculating jets. Computer Aided Geometric Design 22, 121–146.",
    "Bernardini et al. 1999": "Bernardini F, Mittleman J, Rushmeier H, Silva C, Taubin G (1999). The "
    "ball-pivoting algorithm for surface reconstruction. IEEE Transactions on Visualization and Computer "
    "Graphics 5, 349–359.",
    "Metzer et al. 2021": "Metzer G, Hanocka R, Zorin D, Giryes R, Panozzo D, Cohen-Or D (2021). Orienting "
    "point clouds with dipole propagation. ACM Transactions on Graphics 40, 165.",
    "Kazhdan & Hoppe 2013": "Kazhdan M, Hoppe H (2013). Screened Poisson surface reconstruction. ACM "
    "Transactions on Graphics 32, 29.",
    "Ericson 2005": "Ericson C (2005). Real-Time Collision Detection. Morgan Kaufmann.",
    "ISO 16610-31": "ISO 16610-31. Geometrical product specifications: filtration, part 31: robust profile "
    "filters, Gaussian regression filters.",
    "Davison & Hinkley 1997": "Davison AC, Hinkley DV (1997). Bootstrap Methods and their Application. "
    "Cambridge University Press.",
    "Saravanan et al. 2020": "Saravanan V, Berman GJ, Sober SJ (2020). Application of the hierarchical "
    "bootstrap to multi-level data in neuroscience. Neurons, Behavior, Data Analysis and Theory 3(5).",
    "Hesterberg 2015": "Hesterberg TC (2015). What teachers should know about the bootstrap. The American "
    "Statistician 69, 371–386.",
    "Hedges 1981": "Hedges LV (1981). Distribution theory for Glass's estimator of effect size and related "
    "estimators. Journal of Educational Statistics 6, 107–128.",
    "Newcombe (2006)": "Newcombe RG (2006). Confidence intervals for an effect size measure based on the "
    "Mann–Whitney statistic. Part 2. Statistics in Medicine 25, 559–573.",
    "Chung & Romano 2013": "Chung E, Romano JP (2013). Exact and asymptotically robust permutation tests. "
    "The Annals of Statistics 41, 484–507.",
    "Holm (1979)": "Holm S (1979). A simple sequentially rejective multiple test procedure. Scandinavian "
    "Journal of Statistics 6, 65–70.",
    "Benjamini & Hochberg (1995)": "Benjamini Y, Hochberg Y (1995). Controlling the false discovery rate. "
    "Journal of the Royal Statistical Society B 57, 289–300.",
}
"""Works by the words that a text cites them with."""

FITS = {
    "faces": "quadrics fitted to both faces of the mask",
    "ball": "quadrics fitted to voxels within a ball",
    "cylinder": "quadrics fitted to voxels within a cylinder along the normal",
}
SIDES = {
    "convex": "convex side",
    "lumen": "side away from a given lumen",
    "partner_toward": "side of the partner",
    "partner_away": "side away from the partner",
    "layers": "side away from the layer they face",
}
AGREEMENTS = {
    "winding": "by winding numbers",
    "geodesic": "along geodesic links",
    "tangent_plane": "by agreement of tangent planes",
    "dipole": "by dipole propagation (Metzer et al. 2021)",
}
SCALES = {
    "averaged": "that of the smallest predicted error, up to half of the largest, was taken, and averaged "
    "along the surface as far as it agrees",
    "balanced": "that of the smallest predicted error was taken at each vertex",
    "stable": "the smallest at which H no longer changes was taken at each vertex",
}


def methods_section(
    project: Project, runs: ProjectRuns, kinds: Sequence[str], comparison: Sequence[str] = ()
) -> Section:
    """The methods of what lies in the results, to paste, with the references it cites.

    kinds: the kinds of surfaces that were measured. comparison: the text on statistics, where conditions were
    compared.
    """
    texts = [*_rois_text(project, runs), *_measuring_texts(runs, kinds), *comparison, _software_text(runs)]
    cited = [work for words, work in REFERENCES.items() if any(words in text for text in texts)]
    if cited:
        texts += ["References", *cited]
    told = (
        "Filled in from the records of the runs, not from the project file as it is now; read before pasting."
    )
    return Section("Methods, to paste", [told], pasted=texts)


def _rois_text(project: Project, runs: ProjectRuns) -> list[str]:
    if not runs.maps:
        return []
    now = project.settings.model_dump(mode="json")["instances"]
    of_last_run = runs.project.get("settings", {}).get("instances", {})
    of_most, names = next(iter(grouped(runs.found)), (of_last_run, list(runs.maps)))
    settings, others = {**now, **of_most}, max(0, len(runs.found) - len(names))
    record = runs.maps.get(names[0], next(iter(runs.maps.values())))
    threshold = record.get("threshold") if settings["threshold"] is None else settings["threshold"]
    drawn = ", which saw membranes drawn by a second such network," if project.membrane_model else ""
    text = (
        f"Regions of interest (ROIs) were found in {len(runs.maps)} tomograms by a mixed-scale dense network "
        f"(Pelt & Sethian 2018){drawn} trained with TomoROIS (model {record.get('model', '')}, SHA-256 "
        f"{str(record.get('model_sha256', ''))[:12]}); its confidence was averaged over "
        f"{record.get('orientations', 1)} mirrored copies of each tomogram. "
    )
    if threshold is not None:
        text += f"Voxels of a confidence of at least {shown(float(threshold))} were kept"
    text += f", opened by {_nm(settings['opening_nm'])}" if settings["opening_nm"] else ""
    text += f", closed by {_nm(settings['closing_nm'])}" if settings["closing_nm"] else ""
    text += f", and ROIs below {shown(settings['min_volume_nm3'])} nm³ dropped"
    if settings["split"] in ("contacts", None):
        reach = _nm(settings["contacts"]["reach_nm"])
        text += f"; an ROI is the place between two membranes within {reach} of each other"
    text += f" (these are the settings of {len(names)} tomograms; {others} had others)" if others else ""
    return [text + "."]


def _measuring_texts(runs: ProjectRuns, kinds: Sequence[str]) -> list[str]:
    """How surfaces were made and measured, with the settings that most tomograms had."""
    if not runs.settings:
        return []
    settings, names = runs.settings[0]
    others = len(runs.surfaces) - len(names)
    apart = f" (these are the settings of {len(names)} tomograms; {others} had others)" if others else ""
    sizes = sorted(
        {i["voxel_size_nm"] for r in runs.surfaces.values() for i in r["inputs"] if i["voxel_size_nm"]}
    )
    voxels = " to ".join(dict.fromkeys(shown(size) for size in (sizes[:1] + sizes[-1:])))
    edge = f", voxel edge {voxels} nm" if voxels else ""
    making = (
        f"Surfaces were measured with SurfORA in {len(runs.surfaces)} tomograms{edge}{apart}. "
        f"{_cut_text(runs, settings)}"
        f"Pieces of a mask below {shown(settings['clean']['min_volume_nm3'])} nm³ were dropped. "
    )
    return [making + _surface_text(settings, kinds), _measures_text(settings), _contacts_text(settings)]


def _cut_text(runs: ProjectRuns, settings: Mapping[str, Any]) -> str:
    if not any("rois" in i["path"] for r in runs.surfaces.values() for i in r["inputs"]):
        return ""
    roi = settings["roi"]
    return (
        f"Membranes were cut out by the ROIs grown by {_nm(roi['dilation_nm'])}, and measured with a margin "
        f"of {_nm(roi['margin_nm'])} about these that was cut off afterwards. "
    )


def _surface_text(settings: Mapping[str, Any], kinds: Sequence[str]) -> str:
    parts = []
    if "medial" in kinds:
        fit, mesh = settings["medial"]["fit"], settings["mesh"]
        method, side = settings["orient"]["method"], settings["orient"]["side"]
        parts.append(
            f"The middle of each membrane was found by {FITS.get(fit, fit)}; normals were estimated from "
            f"jets (Cazals & Pouget 2005) and oriented consistently {AGREEMENTS.get(method, method)}, "
            f"towards the {SIDES.get(side, side)} of open membranes and outward on closed ones. Points were "
            "joined to triangles by ball pivoting (Bernardini et al. 1999) with radii of "
            f"{mesh['smallest_radius_spacings']:g} to {mesh['largest_radius_spacings']:g} "
            f"spacings; triangles over {mesh['gap_limit_voxels']:g} voxels from the mask were dropped."
        )
    if "isosurface" in kinds:
        parts.append("The boundary of each mask was meshed and fitted by quadrics without shrinking.")
    if "inner" in kinds or "outer" in kinds:
        parts.append(
            "The boundary was split into inner and outer leaflet by a screened Poisson surface through the "
            "middle (Kazhdan & Hoppe 2013); thickness is the distance straight through to the other leaflet."
        )
    return " ".join(parts)


def _measures_text(settings: Mapping[str, Any]) -> str:
    curvature, roughness, wedge = settings["curvature"], settings["roughness"], settings["wedge"]
    scale = curvature["scale"]
    return (
        "Curvature is of polynomials fitted in geodesic coordinates about each vertex, over radii of "
        f"{_nm(curvature['smallest_radius_nm'])} to {_nm(curvature['largest_radius_nm'])} of which "
        f"{SCALES.get(scale, scale)}; mean curvature H is positive where the "
        "surface bends outward along its normal. Roughness is the root mean square height over a Gaussian "
        f"regression filter (ISO 16610-31) of cut-off wavelength {_nm(roughness['cutoff_wavelength_nm'])}. "
        f"Area that faces into the missing wedge (tilts to ±{wedge['max_tilt_deg']:g}° about "
        f"{wedge['tilt_axis']}) was marked as not measured. All summaries are weighted by area."
    )


def _contacts_text(settings: Mapping[str, Any]) -> str:
    limit, contacts = settings["distance"]["contact_distance_nm"], settings["contacts"]
    return (
        "Gaps are distances from each vertex to the nearest point of the other surface (Ericson 2005), taken "
        f"both ways. A contact is a connected area nearer to the other membrane than {_nm(limit)}, cut along "
        f"that line, with holes below {shown(contacts['largest_hole_nm2'])} nm² closed; contacts below "
        f"{shown(contacts['smallest_area_nm2'])} nm² were left out."
    )


def _software_text(runs: ProjectRuns) -> str:
    named = (SOFTWARE, "python", "numpy", "scipy", "vtk", "torch")
    told = [
        versions_text({name: versions[name] for name in named if name in versions})
        for versions in runs.versions
    ]
    return f"Software: {'; '.join(told)}." if told else ""


def _nm(length: float) -> str:
    return f"{shown(float(length))} nm"
