"""Where tomograms lie that particles count from, and which surfaces are of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from surfora.export import star
from surfora.export.nearest_membrane import NamedMesh
from surfora.export.particles import TomogramSize
from surfora.geometry.facts import SurfaceFacts, surface_name
from surfora.geometry.files import read_facts, read_mesh
from surfora.masks.grids import grid_from
from tomocore.contract import NOBODY, InputError, Watcher
from tomocore.files import existing
from tomocore.files_of_tomograms import owner_of, tomogram_stem
from tomocore.volumes.formats import inspect_volume

ASIDE = {
    "medial.points": "holds the points that a mesh was made of",
    "proxy": "parts the leaflets and is no surface of the membrane",
}
"""Kinds of files of `surfora run` that are no surfaces for other programs, and why."""


@dataclass(frozen=True)
class Whereabouts:
    """What tells where tomograms lie: volumes, tomograms.star, and the nm of a pixel of coordinates."""

    volumes: tuple[Path, ...] = ()
    tomograms: Path | None = None
    pixel_size_nm: float | None = None


@dataclass(frozen=True)
class PlacedMesh:
    """A surface of a tomogram, its file, where that one's mask has its first voxel, its voxels if told."""

    path: Path
    named: NamedMesh
    tomogram: str
    origin_nm: tuple[float, float, float]
    voxel_size_nm: float
    facts: SurfaceFacts
    size: tuple[int, int, int] | None = None


def tomogram_sizes(told: Whereabouts, relion: Path | None = None) -> dict[str, TomogramSize]:
    """The size and place of each tomogram, by name: sizes of tomograms.star, else of the volumes' headers.

    relion: a tomograms.star that an optimisation set names, where ``told`` has none. Raises InputError for
    a volume whose header tells no size that can be believed.
    """
    relion = told.tomograms or relion
    sizes = star.sizes_of(existing(relion)) if relion is not None else {}
    for path in told.volumes:
        volume, owner = _size_of(path), owner_of(tomogram_stem(path), list(sizes))
        if owner is None:
            sizes[tomogram_stem(path)] = volume
        else:
            sizes[owner] = replace(sizes[owner], origin_nm=volume.origin_nm)
    return sizes


def _size_of(path: Path) -> TomogramSize:
    header = inspect_volume(path)
    if header.size_problem:
        raise InputError(
            f"{path}: {header.size_problem}; mend its header, or pass --tomograms tomograms.star"
        )
    (z, y, x), edges = header.shape, header.voxel_size_nm
    return TomogramSize((x * edges[0], y * edges[1], z * edges[2]), header.origin_nm)


def facts_of(path: Path) -> SurfaceFacts:
    """What a surface knows of itself, else its name by its file."""
    return read_facts(path) or SurfaceFacts(name=surface_name(path))


def without_points_and_proxies(paths: Sequence[Path], watcher: Watcher = NOBODY) -> list[Path]:
    """The paths without what `surfora run` writes beside its surfaces, which a pattern over its folder fits.

    These are points that meshes were made of, and proxies, which are never measured; they are told. Where
    there is nothing else, the paths as they are.
    """
    kinds = {path: facts.kind for path in paths if path.is_file() and (facts := read_facts(path))}
    aside = [path for path in paths if kinds.get(path) in ASIDE]
    if len(aside) == len(paths):
        return list(paths)
    for path in aside:
        watcher.skipped(str(path), ASIDE[kinds[path]])
    return [path for path in paths if path not in aside]


def placed_mesh(path: Path) -> PlacedMesh:
    mesh, facts = read_mesh(path), facts_of(path)
    grid = grid_from(facts.grid) if facts.grid else None
    tomogram = tomogram_stem(Path(facts.source)) if facts.source else ""
    named = NamedMesh(facts.label or facts.name, mesh)
    if grid is None:
        return PlacedMesh(path, named, tomogram, (0.0, 0.0, 0.0), facts.voxel_size_nm, facts)
    z, y, x = grid.shape
    return PlacedMesh(path, named, tomogram, grid.origin_nm, facts.voxel_size_nm, facts, (x, y, z))


def first_voxel_nm(
    name: str, own: Sequence[PlacedMesh], sizes: Mapping[str, TomogramSize]
) -> tuple[float, float, float]:
    """Where the tomogram's first voxel lies in the world of its surfaces."""
    owner = owner_of(name, list(sizes)) or (next(iter(sizes)) if len(sizes) == 1 else None)
    if owner is not None and sizes[owner].origin_nm != (0.0, 0.0, 0.0):
        return sizes[owner].origin_nm
    placed = next((one for one in own if any(abs(place) > 1e-6 for place in one.origin_nm)), None)
    if placed is None or owner is not None:
        return (0.0, 0.0, 0.0)
    place = ", ".join(f"{value:g}" for value in placed.origin_nm)
    raise InputError(
        f"{placed.path}: its mask begins at ({place}) nm, and nothing tells where the tomogram "
        "does that particles count from; pass it with --tomogram"
    )
