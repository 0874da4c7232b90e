"""Projects of copick on a disk: picks in and out, meshes and segmentations out, under a user and a session.

Copick's own library cannot be installed beside ours (it needs zarr before 3). Its files are plain: JSON, GLB
and OME-Zarr under ``ExperimentRuns/RUN``, named ``USER_SESSION_OBJECT``, lengths in Å from the centre of the
tomogram's first voxel.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field
from scipy.spatial.transform import Rotation

from surfora.export.coloured_meshes import CHIMERAX, PaintedMesh, write_glb
from surfora.export.particles import Particles
from tomocore.contract import InputError
from tomocore.files import written_beside
from tomocore.side_files import StoredRow, read_json, said_by
from tomocore.volumes.formats import write_volume
from tomocore.volumes.volume import Volume

ANGSTROM_NM = 0.1
RUNS = "ExperimentRuns"
LOCAL = re.compile(r"(?:(?:file|local):/{2})?(?P<path>[^:]+)")
UNFIT = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f\s_]')
"""What copick does not allow in the names of users, sessions and objects, since ``_`` parts them."""


class _Object(StoredRow):
    name: str


class _Config(StoredRow):
    pickable_objects: list[_Object]
    overlay_root: str
    static_root: str | None = None
    user_id: str | None = None
    session_id: str | None = None


class _Location(StoredRow):
    x: float
    y: float
    z: float


class _Point(StoredRow):
    location: _Location
    transformation_: list[list[float]] | None = None


class _Picks(StoredRow):
    pickable_object_name: str
    run_name: str | None = None
    unit: str = "angstrom"
    points: list[_Point] | None = Field(default_factory=list)
    trust_orientation: bool | None = True


@dataclass(frozen=True)
class Entry:
    """Under which user, session and object something is kept; empty: as the project or the file names it."""

    user: str = ""
    session: str = ""
    name: str = ""


@dataclass(frozen=True)
class Project:
    """A project that can be written: the folder of its overlay, its objects, and whose entries are made."""

    root: Path
    objects: tuple[str, ...]
    entry: Entry


def opened_project(config: Path, entry: Entry) -> Project:
    """The project of a configuration file, for entries of a user and a session.

    Raises InputError where it lies on no disk of this machine, or nothing names user and session.
    """
    found = _config(config)
    root = _local(config, found.overlay_root, "overlay")
    user, session = entry.user or found.user_id or "", entry.session or found.session_id or "0"
    if not user:
        raise InputError(f"{config}: names no user_id; pass --user")
    return Project(
        root, tuple(one.name for one in found.pickable_objects), Entry(_fit(user), _fit(session), entry.name)
    )


def _config(path: Path) -> _Config:
    remedy = "give the configuration file of a copick project"
    try:
        found: _Config = read_json(path, _Config, remedy)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({said_by(error)}); {remedy}") from error
    return found


def _local(config: Path, root: str, what: str) -> Path:
    """The folder of a root. InputError where it is on no disk of this machine."""
    place = LOCAL.fullmatch(root)
    if place is None:
        raise InputError(f"{config}: its {what} {root} is no folder of this machine; copy it here")
    return config.parent / place["path"]


def _runs(config: Path) -> list[Path]:
    """The folders of a project's runs, of its static files and of its overlay. InputError without any."""
    found = _config(config)
    roots = [_local(config, root, "static root") for root in [found.static_root] if root]
    roots.append(_local(config, found.overlay_root, "overlay"))
    there = [root / RUNS for root in roots if os.path.isdir(root / RUNS)]  # also of a name that none can have
    runs = [run for folder in there for run in sorted(folder.glob("*")) if run.is_dir()]
    if not runs:
        raise InputError(f"{config}: no runs in {roots[0] / RUNS}; check its roots")
    return runs


def tomograms(config: Path, which: str = "") -> dict[str, Path]:
    """The tomogram of each run of a project that has any, by run.

    which: type and spacing in Å (``wbp@10.000``), where runs have several. Raises InputError where no run has
    such a one, and where several are meant.
    """
    kind, _, spacing = which.partition("@")
    found: dict[str, dict[str, Path]] = {}
    for run in _runs(config):
        for path in sorted(run.glob("VoxelSpacing*/*.zarr")):
            edge = path.parent.name.removeprefix("VoxelSpacing")
            fits = path.stem == kind and (not spacing or _same_number(edge, spacing))
            if not path.stem.endswith("_features") and (fits or not which):
                found.setdefault(run.name, {})[f"{path.stem}@{edge}"] = path
    return _one_each(config, found, f"tomogram {which}".strip())


def segmentations(config: Path, which: str) -> dict[str, Path]:
    """The segmentation of each run of a project that has any, by run.

    which: its object, or ``USER_SESSION_OBJECT`` where runs have several. Raises InputError where no run has
    such a one, and where several are meant.
    """
    found: dict[str, dict[str, Path]] = {}
    for run in _runs(config):
        for path in sorted((run / "Segmentations").glob("*.zarr")):
            name = path.stem.removesuffix("-multilabel").partition("_")[2]
            if name == which or name.split("_", 2)[-1] == which:
                found.setdefault(run.name, {})[name] = path
    return _one_each(config, found, f"segmentation {which}")


def _one_each(config: Path, found: dict[str, dict[str, Path]], what: str) -> dict[str, Path]:
    several = next((run for run, paths in found.items() if len(paths) > 1), None)
    if several is not None:
        names = ", ".join(found[several])
        one = next(iter(found[several]))
        raise InputError(f"{config}: {several} has {names}; say which one, as in {config.name}:{one}")
    if not found:
        raise InputError(f"{config}: no run has a {what}; check the name")
    return {run: path for run, paths in found.items() for path in paths.values()}


def _same_number(one: str, other: str) -> bool:
    try:
        return float(one) == float(other)
    except ValueError:
        return False


def _fit(name: str) -> str:
    """A name as copick wants it in the names of files."""
    fitting = UNFIT.sub("-", name).strip("-")
    if not fitting:
        raise InputError(f"{name!r}: is no name that copick allows; choose one of letters and digits")
    return fitting


def _object(project: Project, label: str, source: Path) -> str:
    """The object of the project that a label means, whatever its capitals. InputError where there is none."""
    wanted = _fit(project.entry.name or label or "membrane")
    for name in project.objects:
        if name.casefold() == wanted.casefold():
            return name
    raise InputError(
        f"{source}: {wanted} is none of the project's objects ({', '.join(project.objects) or 'none'}); "
        "name one with --object, or add it to pickable_objects"
    )


def mesh_target(project: Project, run: str, label: str, source: Path) -> Path:
    """Where a mesh is kept."""
    entry = project.entry
    name = f"{entry.user}_{entry.session}_{_object(project, label, source)}.glb"
    return project.root / RUNS / run / "Meshes" / name


def segmentation_target(project: Project, run: str, volume: Volume, source: Path) -> Path:
    """Where a mask, or a volume of several labels, is kept."""
    entry = project.entry
    several = int(volume.data.max()) > 1
    name = _fit(entry.name or "membranes") if several else _object(project, "", source)
    edge = f"{volume.voxel_size_nm / ANGSTROM_NM:.3f}"
    kind = "-multilabel" if several else ""
    return (
        project.root / RUNS / run / "Segmentations" / f"{edge}_{entry.user}_{entry.session}_{name}{kind}.zarr"
    )


def write_mesh(path: Path, part: PaintedMesh) -> None:
    """Write a mesh as copick keeps it: GLB in Å, axes as in the tomogram."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_glb(path, [part], CHIMERAX)


def write_segmentation(path: Path, volume: Volume) -> None:
    """Write labels as copick keeps them: OME-Zarr. Raises InputError for what is no volume of labels."""
    if volume.data.dtype.kind == "f" or volume.data.min() < 0:
        raise InputError(f"{path.name}: segmentations are whole numbers from 0 on; give labels, not scores")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_volume(path, volume)


def picks_particles(path: Path) -> Particles:
    """The picks of a file of copick; poses where it trusts its orientations. InputError where it is none."""
    picks: _Picks = read_json(path, _Picks, "give the picks of a copick project")
    if picks.unit != "angstrom":
        raise InputError(f"{path}: its picks are in {picks.unit}; copick's are in angstrom")
    points = picks.points or []
    if not points:
        raise InputError(f"{path}: holds no picks")
    places = np.array([[one.location.x, one.location.y, one.location.z] for one in points])
    turns = np.array([one.transformation_ or np.eye(4).tolist() for one in points], np.float64)
    if turns.shape != (len(points), 4, 4) or not (np.isfinite(turns).all() and np.isfinite(places).all()):
        raise InputError(f"{path}: a pick has no finite place and matrix of 4 × 4; write it again")
    poses = None
    if picks.trust_orientation:
        if (np.linalg.det(turns[:, :3, :3]) < 0.5).any():
            raise InputError(f"{path}: a pick's matrix mirrors or flattens; write it again")
        poses = Rotation.from_matrix(turns[:, :3, :3])
    run = picks.run_name or _run_of(path)
    return Particles((places + turns[:, :3, 3]) * ANGSTROM_NM, poses, (run,) * len(points))


def _run_of(path: Path) -> str:
    parts = path.resolve().parts
    return parts[parts.index(RUNS) + 1] if RUNS in parts[:-2] else ""


def write_picks(path: Path, particles: Particles, voxel_size_nm: float) -> None:
    """Write particles as picks; user, session and object are those in the file's name.

    Raises InputError where it is not called ``USER_SESSION_OBJECT.json``.
    """
    named = path.stem.split("_")
    if len(named) != 3 or not all(named):
        raise InputError(f"{path}: picks of copick are called USER_SESSION_OBJECT.json; name it so")
    turns = np.tile(np.eye(4), (len(particles), 1, 1))
    if particles.poses is not None:
        turns[:, :3, :3] = particles.poses.as_matrix()
    picks: dict[str, Any] = {
        "pickable_object_name": named[2],
        "user_id": named[0],
        "session_id": named[1],
        "run_name": _run_of(path) or (particles.tomograms[0] if len(particles) else None),
        "voxel_spacing": voxel_size_nm / ANGSTROM_NM,
        "unit": "angstrom",
        "points": [
            {
                "location": dict(zip("xyz", place, strict=True)),
                "transformation_": turn,
                "instance_id": 0,
                "score": 1.0,
            }
            for place, turn in zip((particles.places_nm / ANGSTROM_NM).tolist(), turns.tolist(), strict=True)
        ],
        "trust_orientation": particles.poses is not None,
    }
    with written_beside(path) as beside:
        beside.write_text(json.dumps(picks, indent=1), encoding="utf-8")
