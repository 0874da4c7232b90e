"""The recommended sequence: from the mask of a membrane to measured surfaces, their files and a report."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import numpy as np

from surfora.geometry.arrays import Mask
from surfora.geometry.facts import SurfaceFacts
from surfora.geometry.files import read_facts, read_mesh, write_surface
from surfora.geometry.repair import Told, with_unit_normals
from surfora.geometry.surface import PointCloud, SurfaceMesh, face_areas_nm2
from surfora.isosurface.boundary import isosurface
from surfora.isosurface.roi_border import cut_to_roi
from surfora.leaflets.proxy import poisson_proxy
from surfora.leaflets.split import split_leaflets
from surfora.masks.cleaning import cleaned_and_removed, mask_thickness_nm
from surfora.masks.filled import MAJORITY, filled_share
from surfora.masks.membranes import KnownSide, Membrane
from surfora.measures.curvature import mesh_curvature
from surfora.measures.roughness import mesh_roughness
from surfora.measures.settings import (
    CurvatureSettings,
)
from surfora.measures.statistics import NoValues
from surfora.measures.wedge import mesh_evidence
from surfora.medial.points import medial_points
from surfora.meshing.ballpivot import mesh_points
from surfora.meshing.smoothing import smooth_mesh
from surfora.orientation.oriented import oriented_cloud
from surfora.settings import SurforaSettings
from tomocore.contract import InputError, Progress, no_progress
from tomocore.provenance import RunRecord
from tomocore.volumes.volume import Volume

log = logging.getLogger(__name__)

SurfaceKind = Literal["medial", "isosurface", "both"]

KINDS_OF: dict[SurfaceKind, tuple[str, ...]] = {
    "medial": ("medial",),
    "isosurface": ("isosurface", "inner", "outer"),
    "both": ("medial", "isosurface", "inner", "outer"),
}
"""Kinds of measured surfaces, as in ``NAME.<kind>.vtp``."""

FILLED_KINDS = ("isosurface",)
"""Those of a filled body, which has neither middle nor leaflets."""


AFTERWARDS = {"components", "distance", "contacts", "density", "intervals"}
"""Sections of the settings that say nothing of how a surface is made."""


def measure_membrane(
    membrane: Membrane,
    folder: Path,
    kind: SurfaceKind | None,
    settings: SurforaSettings,
    record: RunRecord,
    progress: Progress = no_progress,
) -> list[Path]:
    """Reconstruct and measure one membrane; the VTP files of its measured surfaces, medial first.

    They are ``NAME.<kind>.vtp`` in ``folder``, where points and proxy are written beside them. ``kind``
    chooses the middle of the membrane, its boundary with both leaflets, or all; None the middle of a sheet
    and the boundary of a filled body. An empty leaflet has no file; files that exist are replaced (see
    `files_there`). ``settings`` are those of all stages. Stages and their times are noted in ``record``,
    whose id the files carry. Raises InputError where the mask cannot carry a surface, or a medial surface
    is asked for of a filled body.
    """
    identity = surface_identity(voxel_digest(membrane, settings), membrane.known_side)
    with record.stage("cleaning", membrane.name) as counts:
        mask, removed = cleaned_and_removed(membrane.mask, membrane.voxel_size_nm, settings.clean)
        counts["pieces removed"], counts["share removed"] = removed.pieces, round(removed.share, 4)
        filled = _is_measured_as_filled(membrane, mask, kind)
    facts = _facts(membrane, mask, filled, record, identity)
    facts = replace(facts, removed_pieces=removed.pieces, removed_share=round(removed.share, 4))
    surfaces = (
        _filled_surface(membrane, mask, settings, record, progress)
        if filled
        else _surfaces(membrane, mask, kind or "medial", settings, record, progress)
    )
    written: list[Path] = []
    wanted = FILLED_KINDS if filled else KINDS_OF[kind or "medial"]
    for which, surface, more in surfaces:
        if not written:  # files of two makings would be taken for done if it ended in between
            for old in wanted:
                _file(folder, membrane.name, old).unlink(missing_ok=True)
        path = _file(folder, membrane.name, which)
        if isinstance(surface, SurfaceMesh):
            # Fits at sharp rims may point back, which every reader would mend, and warn of.
            surface = with_unit_normals(surface, Told())
        own = "\n".join(text for text in record.warnings if text.startswith(f"{membrane.name}: "))
        write_surface(path, surface, replace(facts, kind=which, warnings=own, **more))
        written.append(path)
    return [path for path in (_file(folder, membrane.name, which) for which in wanted) if path in written]


def files_there(name: str, folder: Path, kind: SurfaceKind | None) -> list[Path]:
    """The files of a membrane's measured surfaces where all of them exist, of a filled body its only one.

    One that cannot be read is as none.
    """
    wanted = [_file(folder, name, which) for which in KINDS_OF[kind or "medial"]]
    if all(path.exists() for path in wanted):
        return wanted if all(_is_whole(path) for path in wanted) else []
    whole = _file(folder, name, "isosurface")
    if kind == "medial" or not whole.exists() or not _is_whole(whole):
        return []
    facts = read_facts(whole)
    return [whole] if facts and facts.filled else []


def _is_whole(path: Path) -> bool:
    """Whether a surface can be read; a warning where it cannot."""
    try:
        read_mesh(path)
        read_facts(path)
    except InputError as error:
        log.warning("%s; it is made anew", error)
        return False
    return True


def _is_measured_as_filled(membrane: Membrane, mask: Mask, kind: SurfaceKind | None) -> bool:
    """Whether a cleaned mask is a filled body and so measured by its boundary alone, which is told."""
    share = filled_share(mask, membrane.voxel_size_nm)
    if share <= MAJORITY:
        if share > 0:
            log.warning(
                "%.0f %% of the mask is filled bodies, not sheets; their middle means little", 100 * share
            )
        return False
    if kind == "medial":
        raise InputError(
            f"{membrane.name}: the mask is filled, no thin sheet, so it has no middle to measure; use "
            "--surface isosurface, or give the mask of its membrane"
        )
    log.warning("the mask is filled, no thin sheet: measured by its isosurface, normals outward; no leaflets")
    return True


def _filled_surface(
    membrane: Membrane, mask: Mask, settings: SurforaSettings, record: RunRecord, progress: Progress
) -> Iterator[tuple[str, PointCloud | SurfaceMesh, dict[str, Any]]]:
    """The boundary of a filled body, measured as a middle is."""
    with record.stage("isosurface", membrane.name) as counts:
        origin_nm = membrane.origin_nm
        boundary = isosurface(mask, membrane.voxel_size_nm, origin_nm, settings.isosurface, progress)
        counts["triangles"] = len(boundary.faces)
    rule = {"orientation_rule": "boundary", "orientation_confidence": 1.0}
    yield "isosurface", _measured("filled", boundary, membrane, mask, settings, record, progress), rule


def _surfaces(
    membrane: Membrane,
    mask: Mask,
    kind: SurfaceKind,
    settings: SurforaSettings,
    record: RunRecord,
    progress: Progress,
) -> Iterator[tuple[str, PointCloud | SurfaceMesh, dict[str, Any]]]:
    """Kind, surface and further facts of everything that is written of one membrane."""
    cloud, medial, sides = medial_surface(membrane, mask, settings, record, progress)
    if kind != "isosurface":
        yield "medial.points", cloud, sides
        yield "medial", _measured("medial", medial, membrane, mask, settings, record, progress), sides
    if kind == "medial":
        return
    for which, mesh in boundary_surfaces(membrane, mask, medial, settings, record, progress).items():
        if which == "proxy":
            yield which, mesh, sides
        elif len(mesh.faces):
            yield which, _measured(which, mesh, membrane, mask, settings, record, progress), sides
        else:
            log.warning("the %s leaflet is empty: the mask is no sheet with two sides", which)


def medial_surface(
    membrane: Membrane,
    mask: Mask,
    settings: SurforaSettings,
    record: RunRecord,
    progress: Progress = no_progress,
) -> tuple[PointCloud, SurfaceMesh, dict[str, Any]]:
    """Oriented points on the middle of a cleaned mask, their mesh, and what decided the normals' side.

    ``mask`` (bool z, y, x) is that of ``membrane`` after cleaning; the membrane gives grid, known side, and
    the other labels that no triangle may cross. ``settings`` are read from medial to smooth, each stage is
    timed in ``record``, and ``progress`` is told of points and mesh in turn.
    """
    voxel_nm, origin_nm, name = membrane.voxel_size_nm, membrane.origin_nm, membrane.name
    with record.stage("medial points", name) as counts:
        points = medial_points(mask, voxel_nm, origin_nm, settings.medial, progress)
        counts["points"] = len(points.points)
    with record.stage("orientation", name):
        cloud, orientation = oriented_cloud(points, settings.orient, membrane.known_side)
    with record.stage("mesh", name) as counts:
        support = Volume(mask, voxel_nm, origin_nm)
        mesh = mesh_points(cloud, settings.mesh, support=support, foreign=membrane.foreign, progress=progress)
        counts["triangles"] = len(mesh.faces)
    with record.stage("smoothing", name):
        mesh = smooth_mesh(mesh, settings.smooth)
    rule = {
        "orientation_rule": ", ".join(sorted(set(orientation.rule))),
        "orientation_confidence": round(float(orientation.confidence[orientation.component].mean()), 3),
    }
    return cloud, mesh, rule


def boundary_surfaces(
    membrane: Membrane,
    mask: Mask,
    medial: SurfaceMesh,
    settings: SurforaSettings,
    record: RunRecord,
    progress: Progress = no_progress,
) -> dict[str, SurfaceMesh]:
    """Isosurface of a cleaned mask, Poisson proxy, and the leaflets that the proxy parts, by kind.

    ``mask`` (bool z, y, x) is that of ``membrane`` after cleaning, ``medial`` the oriented mesh of
    `medial_surface`: it closes holes of the mask, carries the proxy, and says which leaflet is the outer one.
    A leaflet may have no faces. ``settings`` are read from isosurface to leaflets, each stage is timed in
    ``record``.
    """
    name = membrane.name
    with record.stage("isosurface", name) as counts:
        voxel_nm, origin_nm = membrane.voxel_size_nm, membrane.origin_nm
        boundary = isosurface(mask, voxel_nm, origin_nm, settings.isosurface, progress, medial)
        counts["triangles"] = len(boundary.faces)
    with record.stage("proxy", name):
        proxy = poisson_proxy(medial, settings.proxy)
    with record.stage("leaflets", name):
        leaflets = split_leaflets(boundary, medial, proxy, settings.leaflets)
    return {"isosurface": boundary, "proxy": proxy, "inner": leaflets.inner, "outer": leaflets.outer}


def _measured(
    kind: str,
    mesh: SurfaceMesh,
    membrane: Membrane,
    mask: Mask,
    settings: SurforaSettings,
    record: RunRecord,
    progress: Progress,
) -> SurfaceMesh:
    """A mesh with the measures of its kind ("filled": a filled body's isosurface), cut to its ROI.

    The whole isosurface of a sheet bends over rims into its other side, so its leaflets are what curvature
    is measured on; roughness is the middle's, since an isosurface has been smoothed. Raises InputError
    where nothing is left within the ROI, or no point of it has a curvature.
    """
    name = membrane.name
    if kind != "isosurface":
        with record.stage(f"curvature {kind}", name):
            chosen = _curvature_settings(kind, membrane, settings)
            mesh = _where_possible(lambda: mesh_curvature(mesh, chosen, progress), mesh)
    if kind == "medial":
        with record.stage("roughness", name):
            voxel_nm, curved = membrane.voxel_size_nm, mesh
            mesh = _where_possible(
                lambda: mesh_roughness(curved, settings.roughness, voxel_nm, progress), mesh
            )
    with record.stage("evidence", name):
        support = Volume(mask, membrane.voxel_size_nm, membrane.origin_nm)
        trimmed = cut_to_roi(mesh_evidence(mesh, support, settings.wedge), membrane)
    if len(trimmed.faces) == 0:
        raise InputError(f"{name}: no {kind} surface is left within the ROI; enlarge roi.dilation_nm")
    if kind != "isosurface" and not np.isfinite(trimmed.data.get("mean_curvature_per_nm", np.nan)).any():
        area_nm2 = face_areas_nm2(trimmed.vertices, trimmed.faces).sum()
        raise InputError(
            f"{name}: its {kind} surface of {area_nm2:.0f} nm² is too small or too near its border to "
            "measure a curvature anywhere; lower curvature.smallest_radius_nm, or leave it out"
        )
    return trimmed


def _where_possible(measure: Callable[[], SurfaceMesh], mesh: SurfaceMesh) -> SurfaceMesh:
    """The measured mesh, or the mesh as it was and a warning where it is too small for any value."""
    try:
        return measure()
    except NoValues as reason:
        log.warning("%s", reason)
        return mesh


def _curvature_settings(kind: str, membrane: Membrane, settings: SurforaSettings) -> CurvatureSettings:
    """The settings of curvature; on a leaflet no scale below that which its isosurface was smoothed over.

    What is left of the voxels there varies slowly, so that the scatter of small fits does not tell it.
    """
    chosen = settings.curvature
    smoothed_nm = settings.isosurface.fit_radius_voxels * membrane.voxel_size_nm
    if kind == "medial" or smoothed_nm <= chosen.smallest_radius_nm:
        return chosen
    largest_nm = max(chosen.largest_radius_nm, smoothed_nm)
    return chosen.model_copy(update={"smallest_radius_nm": smoothed_nm, "largest_radius_nm": largest_nm})


def _file(folder: Path, name: str, which: str) -> Path:
    return folder / f"{name}.{which}.vtp"


def _facts(membrane: Membrane, mask: Mask, filled: bool, record: RunRecord, identity: str) -> SurfaceFacts:
    thickness_nm = float("nan") if filled else round(mask_thickness_nm(mask, membrane.voxel_size_nm), 3)
    return SurfaceFacts(
        name=membrane.name,
        label=membrane.label,
        roi=membrane.roi,
        source=str(membrane.source),
        rois=str(membrane.rois or ""),
        grid=membrane.grid.text,
        filled=filled,
        thickness_nm=thickness_nm,
        voxel_size_nm=membrane.voxel_size_nm,
        provenance=record.id,
        identity=identity,
    )


def voxel_digest(membrane: Membrane, settings: SurforaSettings) -> Any:
    """SHA-256 so far of what a surface depends on: settings, grid and voxels; for `surface_identity`."""
    digest = sha256(settings.model_dump_json(exclude=AFTERWARDS).encode())
    digest.update(repr((membrane.mask.shape, membrane.voxel_size_nm, membrane.origin_nm)).encode())
    for part in (membrane.mask, membrane.foreign, membrane.kept):
        digest.update(b"" if part is None else np.packbits(part).tobytes())
    return digest


def surface_identity(digest: Any, known: KnownSide | None) -> str:
    """Hash of all that a surface depends on: its `voxel_digest`, and what is known of its side."""
    whole = digest.copy()
    if known is not None:
        points = b"" if known.partner_points is None else known.partner_points.tobytes()
        whole.update(repr((known.side, known.lumen_nm)).encode() + points)
    return str(whole.hexdigest()[:16])


def warn_of_other_settings(paths: list[Path], identity: str, source: str) -> None:
    """Warn of each kept file that was made of other voxels or with other settings than ``identity`` says.

    ``source`` is the mask that it should be of; that which a file tells is named where it is another one.
    """
    for path in paths:
        facts = read_facts(path)
        if facts is None or facts.identity != identity:
            other = f" ({facts.source})" if facts and facts.source not in ("", source) else ""
            log.warning(
                "%s: kept, but made with other settings, ROIs or another mask%s; --overwrite makes it anew",
                path,
                other,
            )
