"""`surfora particles`: from files of particles and surfaces to particles that know their membrane."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from surfora.export import dynamo, star
from surfora.export.copick import picks_particles
from surfora.export.imod import imod_particles
from surfora.export.nearest_membrane import as_words, surface_features
from surfora.export.particles import Particles, TomogramSize, believable
from surfora.export.tomogram_places import (
    PlacedMesh,
    Whereabouts,
    first_voxel_nm,
    placed_mesh,
    tomogram_sizes,
    without_points_and_proxies,
)
from surfora.geometry.star_tables import star_blocks
from tomocore.contract import NOBODY, Batch, InputError, Watcher, naming
from tomocore.files import existing, require_writable_folder, written_beside
from tomocore.files_of_tomograms import owner_of
from tomocore.side_files import MOST_CSV_BYTES, read_text, some_of


@dataclass(frozen=True)
class JoinRequest:
    """What `surfora particles` is asked for."""

    meshes: tuple[Path, ...]
    particles: Path
    output: Path
    whereabouts: Whereabouts = field(default_factory=Whereabouts)
    catalogue: Path | None = None
    radius_nm: float | None = None
    probe_nm: float | None = None
    overwrite: bool = False


def join_particles(request: JoinRequest, watcher: Watcher = NOBODY) -> Batch:
    """Write the particles with the features of the nearest surface of their tomogram; what became of them.

    A STAR file gets columns, and all else of it stays as it is; tables, lists and models have no room,
    so that the features stand beside them as CSV, which every format gets. An optimisation set is followed
    and written again. Raises InputError where places cannot be known.
    """
    batch = Batch(watcher)
    batch.make(request.output, request.overwrite, lambda path: _joined(path, request, watcher))
    return batch


def _joined(path: Path, request: JoinRequest, watcher: Watcher) -> str:
    if path.suffix.lower() != _source(request).suffix.lower():
        raise InputError(f"{path}: particles are written as they came; name it *{_source(request).suffix}")
    if os.path.realpath(path) == os.path.realpath(_source(request)):
        raise InputError(f"{path}: is the particles' own file; name another one with -o")
    surfaces = [placed_mesh(mesh) for mesh in without_points_and_proxies(request.meshes, watcher)]
    sizes = _sizes(request)
    particles = _read(request, sizes)
    surfaces = [_of_its_name(one, set(particles.tomograms)) for one in surfaces]
    columns, lacking = _features(particles, surfaces, sizes, request, watcher)
    require_writable_folder(path.parent)
    with written_beside(path.with_name(f"{path.stem}.features.csv")) as beside:
        pd.DataFrame(columns).to_csv(beside, index=False, float_format="%.6g")
    source = _source(request)
    if path.suffix.lower() == ".star":
        block = star.particle_block(star_blocks(source), source)
        star.write_with_columns(path, source, block, as_words(columns))
        _write_optimisation_set(path, request)
    else:
        with written_beside(path) as beside:
            beside.write_bytes(source.read_bytes())
    told = f"; {lacking} of tomograms without a mesh" if lacking else ""
    return f"{len(particles)} particles{told}"


def _of_its_name(surface: PlacedMesh, tomograms: Collection[str]) -> PlacedMesh:
    """A surface of another program with the tomogram that its file is named after, if it is after one."""
    owner = None if surface.tomogram else owner_of(surface.named.name, sorted(filter(None, tomograms)))
    return surface if owner is None else replace(surface, tomogram=owner)


def _source(request: JoinRequest) -> Path:
    """The particles' own file, also where an optimisation set names it."""
    if request.particles.suffix.lower() == ".star":
        found = star.optimisation_set(existing(request.particles))
        return found[0] if found else request.particles
    return existing(request.particles)


def _sizes(request: JoinRequest) -> dict[str, TomogramSize]:
    found = None
    if request.particles.suffix.lower() == ".star":
        found = star.optimisation_set(existing(request.particles))
    return tomogram_sizes(request.whereabouts, found[1] if found else None)


def _read(request: JoinRequest, sizes: Mapping[str, TomogramSize]) -> Particles:
    source, pixel = _source(request), request.whereabouts.pixel_size_nm
    kind = source.suffix.lower()
    if kind == ".star":
        return star.star_particles(source, sizes, pixel)
    if kind == ".mod":
        return imod_particles(source, pixel)
    if kind == ".json":
        return picks_particles(source)
    if kind not in (".tbl", ".em"):
        raise InputError(
            f"{source}: particles are read from .star, .tbl (Dynamo), .em (motive lists), .mod (IMOD) and "
            ".json (copick)"
        )
    if pixel is None:
        raise InputError(f"{source}: counts in voxels of a size that it does not tell; pass --pixel-size NM")
    names = dynamo.catalogue(existing(request.catalogue)) if request.catalogue else None
    if kind == ".tbl":
        with naming(source):
            return believable(dynamo.dynamo_particles(dynamo.dynamo_table(source), pixel, names))
    with naming(source):
        return believable(dynamo.av3_particles(dynamo.av3_list(source), pixel, names))


def _features(
    particles: Particles,
    surfaces: Sequence[PlacedMesh],
    sizes: Mapping[str, TomogramSize],
    request: JoinRequest,
    watcher: Watcher,
) -> tuple[dict[str, NDArray[Any]], int]:
    """The columns of all particles, tomogram by tomogram, and how many have no surface."""
    frames, lacking, bare = [], 0, list[str]()
    for name in dict.fromkeys(particles.tomograms):
        chosen = np.array([own == name for own in particles.tomograms])
        own = _of_tomogram(name, surfaces, particles, watcher)
        if not own:
            bare.append(name or "particles")
            lacking += int(chosen.sum())
            continue
        origin = np.asarray(first_voxel_nm(name, own, sizes))
        part = particles.at(chosen)
        there = replace(part, places_nm=part.places_nm + origin)
        found = surface_features(there, [one.named for one in own], request.radius_nm, request.probe_nm)
        frames.append(pd.DataFrame(found, index=np.flatnonzero(chosen)))
    if bare:
        watcher.skipped(some_of(bare), "no mesh of this tomogram; its particles get no features")
    if not frames:
        raise InputError(
            f"{request.particles}: its tomograms ({some_of(sorted(set(particles.tomograms)), 5)}) are "
            f"none of the meshes' ({some_of(sorted({s.tomogram for s in surfaces}), 5)}); name them alike"
        )
    whole = pd.concat(frames).reindex(range(len(particles)))
    whole["surforaMembrane"] = whole["surforaMembrane"].fillna("none")
    return {str(label): whole[label].to_numpy() for label in whole}, lacking


def _of_tomogram(
    name: str, surfaces: Sequence[PlacedMesh], particles: Particles, watcher: Watcher
) -> list[PlacedMesh]:
    """The surfaces of a tomogram by its name; where there is one on either side, those whatever its name."""
    known = list(dict.fromkeys(one.tomogram for one in surfaces))
    owner = owner_of(name, known) or next((k for k in known if k and owner_of(k, [name]) is not None), None)
    if owner is None and len(known) == 1 and len(set(particles.tomograms)) == 1:
        owner = known[0]
        if name and owner:
            watcher.say(f"particles of {name} are taken to be of {owner}, the only tomogram")
    return [one for one in surfaces if one.tomogram == owner] if owner is not None else []


def _write_optimisation_set(path: Path, request: JoinRequest) -> None:
    """Beside the particles, the optimisation set that they came with, naming the new ones."""
    if star.optimisation_set(request.particles) is None:
        return
    text = read_text(request.particles, MOST_CSV_BYTES, "a STAR file")
    old = str(_named_particles(request.particles))
    with written_beside(path.with_name(f"{path.stem}_optimisation_set.star")) as beside:
        beside.write_text(text.replace(old, str(path)), encoding="utf-8")


def _named_particles(path: Path) -> str:
    """The particles' file as an optimisation set writes it."""
    for block in star_blocks(path).values():
        row = block if isinstance(block, dict) else block.iloc[0].to_dict()
        if "rlnTomoParticlesFile" in row:
            return str(row["rlnTomoParticlesFile"])
    raise InputError(f"{path}: names no particles")
