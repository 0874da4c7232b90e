"""The stages one by one: each takes its options and its section of the settings, and makes one call."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from surfora.cli.options import MaskFile, MeshFile, OfBoth, OfMask, OfMesh, OfSurface, PointsFile, ended
from tomocore.terminal.console import Terminal


def clean(
    mask: MaskFile,
    /,
    *,
    options: OfMask,
    threshold: Annotated[
        float | None,
        Parameter(help="for a map of scores: membrane is where the map is this or more", negative=""),
    ] = None,
) -> int:
    """Clean a mask: opening, closing, small pieces and holes by physical size, label by label.

    A map of scores (confidence, probability) becomes a mask with --threshold first.
    """
    from surfora.masks.files import clean_file
    from surfora.masks.settings import CleanSettings

    settings = options.section(CleanSettings, "clean")
    batch = clean_file(options.of(mask), settings, threshold, Terminal())
    return ended(batch, f"surfora medial {options.output}")


def components(mask: MaskFile, /, *, options: OfMask) -> int:
    """Take one mask of many membranes apart: a label a membrane, by falling size, and a table of them.

    Connected pieces; membranes that touch are parted along their surfaces, with how sure that is. The result
    is a label volume, its table (.csv) lies beside.
    """
    from surfora.masks.separate_membranes import components_file
    from surfora.masks.settings import ComponentSettings

    settings = options.section(ComponentSettings, "components")
    batch = components_file(options.of(mask), settings, Terminal())
    return ended(batch, f"surfora run {options.output} -o DIR")


def medial(mask: MaskFile, /, *, options: OfMask) -> int:
    """Points on the middle of a membrane, with normals whose side is not yet decided."""
    from surfora.medial.files import medial_file
    from surfora.medial.settings import MedialSettings

    batch = medial_file(options.of(mask), options.section(MedialSettings, "medial"), Terminal())
    return ended(batch, f"surfora orient {options.output}")


def isosurface(
    mask: MaskFile,
    /,
    *,
    options: OfMask,
    medial: Annotated[
        Path | None, Parameter(help="medial mesh of the same mask; holes that it closes are closed here too")
    ] = None,
) -> int:
    """The boundary of a mask as a smooth mesh that neither thins it nor closes narrow gaps."""
    from surfora.isosurface.files import isosurface_file
    from surfora.isosurface.settings import IsosurfaceSettings

    settings = options.section(IsosurfaceSettings, "isosurface")
    batch = isosurface_file(options.of(mask), settings, medial, Terminal())
    return ended(batch, f"surfora curvature {options.output}")


def orient(
    points: PointsFile,
    /,
    *,
    options: OfSurface,
    lumen: Annotated[str | None, Parameter(help="X,Y,Z in nm of a place inside")] = None,
    toward: Annotated[Path | None, Parameter(help="points or mesh of a partner that lies outside")] = None,
    away_from: Annotated[Path | None, Parameter(help="points or mesh of a partner that lies inside")] = None,
) -> int:
    """Turn the normals of points to one side of their surface, consistently."""
    from surfora.masks.membranes import parsed_lumen
    from surfora.orientation.files import SideRule, orient_file
    from surfora.orientation.settings import OrientSettings

    side = SideRule(parsed_lumen(lumen)[1] if lumen else None, toward, away_from)
    batch = orient_file(options.of(points), options.section(OrientSettings, "orient"), side, Terminal())
    return ended(batch, f"surfora mesh {options.output}")


def mesh(
    points: PointsFile,
    /,
    *,
    options: OfBoth,
    mask: Annotated[
        Path | None, Parameter(help="the mask that the points came from; keeps triangles out of gaps")
    ] = None,
) -> int:
    """Ball-pivot a mesh over oriented points, without bridges over gaps."""
    from surfora.meshing.files import mesh_file
    from surfora.meshing.settings import MeshSettings

    batch = mesh_file(options.of(points), options.section(MeshSettings, "mesh"), mask, Terminal())
    return ended(batch, f"surfora smooth {options.output}")


def smooth(mesh: MeshFile, /, *, options: OfSurface) -> int:
    """Smooth a mesh without shrinking it; its border stays."""
    from surfora.meshing.files import smooth_file
    from surfora.meshing.settings import SmoothSettings

    batch = smooth_file(options.of(mesh), options.section(SmoothSettings, "smooth"), Terminal())
    return ended(batch, f"surfora curvature {options.output}")


def proxy(mesh: MeshFile, /, *, options: OfSurface) -> int:
    """A watertight-where-supported Poisson surface that separates the leaflets; never measured."""
    from surfora.leaflets.files import proxy_file
    from surfora.leaflets.settings import ProxySettings

    batch = proxy_file(options.of(mesh), options.section(ProxySettings, "proxy"), Terminal())
    return ended(batch, f"surfora split ISOSURFACE --proxy {options.output}")


def split(
    isosurface: MeshFile,
    /,
    *,
    options: OfSurface,
    medial: Annotated[Path, Parameter(help="the oriented medial mesh of the same membrane")],
    proxy: Annotated[Path | None, Parameter(help="result of `surfora proxy`; made where not given")] = None,
) -> int:
    """Split an isosurface into its inner and outer leaflet, with the distance between them.

    -o NAME writes NAME.inner.vtp and NAME.outer.vtp.
    """
    from surfora.leaflets.files import leaflet_files, split_file
    from surfora.leaflets.settings import LeafletSettings, ProxySettings

    batch = split_file(
        options.of(isosurface),
        medial,
        options.section(LeafletSettings, "leaflets"),
        proxy=proxy or options.section(ProxySettings, "proxy"),
        watcher=Terminal(),
    )
    return ended(batch, f"surfora curvature {leaflet_files(options.output)['outer']}")


def curvature(mesh: MeshFile, /, *, options: OfSurface) -> int:
    """Signed curvatures at the scale of least expected error; H > 0 bends outward along the normal."""
    from surfora.measures.files import curvature_file
    from surfora.measures.settings import CurvatureSettings

    batch = curvature_file(options.of(mesh), options.section(CurvatureSettings, "curvature"), Terminal())
    return ended(batch, f"surfora roughness {options.output}")


def distance(
    mesh: MeshFile,
    /,
    *,
    options: OfSurface,
    to: Annotated[list[Path], Parameter(consume_multiple=True, negative="", help="meshes to measure to")],
) -> int:
    """Distance from every point of a mesh to the nearest point of others, as arrays named after them."""
    from surfora.measures.files import distance_file
    from surfora.measures.settings import DistanceSettings

    settings = options.section(DistanceSettings, "distance")
    return ended(distance_file(options.of(mesh), to, settings, Terminal()))


def roughness(
    mesh: MeshFile,
    /,
    *,
    options: OfMesh,
    voxel_size: Annotated[float, Parameter(help="voxel edge of the mask in nm; sets the noise floor")],
) -> int:
    """Height left after a smooth reference is taken off, RMS, beside what voxels alone give."""
    from surfora.measures.files import roughness_file
    from surfora.measures.settings import RoughnessSettings

    settings = options.section(RoughnessSettings, "roughness")
    return ended(roughness_file(options.of(mesh, voxel_size), settings, Terminal()))


def wedge(mesh: MeshFile, /, *, mask: MaskFile, options: OfBoth) -> int:
    """Which of a surface was measured, which lies in the missing wedge, and which no voxel supports."""
    from surfora.measures.files import wedge_file
    from surfora.measures.settings import WedgeSettings

    batch = wedge_file(options.of(mesh), mask, options.section(WedgeSettings, "wedge"), Terminal())
    return ended(batch)


STAGES: tuple[Callable[..., int], ...] = (
    clean,
    components,
    medial,
    isosurface,
    orient,
    mesh,
    smooth,
    proxy,
    split,
    curvature,
    distance,
    roughness,
    wedge,
)
"""The commands in the order of the sequence."""
