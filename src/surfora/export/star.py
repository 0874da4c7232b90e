"""Particles in STAR files of RELION 3.1, 4 and 5, Warp and M; columns added without touching the rest.

A place counts from the centre of the tomogram's first voxel: coordinates in pixels times the pixel's size
(RELION: of the tilt series; Warp: of the images that it exported), less the refined shift, which RELION turns
by the angles of the subtomogram. RELION 5 counts from the tomogram's centre, half its size from that voxel's
centre; so the size must be known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from surfora.export.particles import Particles, TomogramSize, believable
from surfora.export.poses import from_relion
from surfora.geometry.arrays import Floats
from surfora.geometry.star_tables import (
    PIXEL_SIZES,
    TOMOGRAM_NAMES,
    WARP_ENDING,
    as_table,
    pixel_sizes_nm,
    star_blocks,
    star_numbers,
)
from tomocore.contract import InputError, naming
from tomocore.files import written_beside
from tomocore.files_of_tomograms import owner_of
from tomocore.side_files import MOST_CSV_BYTES, read_text, shortened, some_of

COORDINATES = tuple(f"rlnCoordinate{axis}" for axis in "XYZ")
CENTRED = tuple(f"rlnCenteredCoordinate{axis}Angst" for axis in "XYZ")
SHIFTS_ANGSTROM = tuple(f"rlnOrigin{axis}Angst" for axis in "XYZ")
SHIFTS_PIXELS = tuple(f"rlnOrigin{axis}" for axis in "XYZ")
ANGLES = ("rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi")
SUBTOMOGRAM_ANGLES = tuple(f"rlnTomoSubtomogram{angle}" for angle in ("Rot", "Tilt", "Psi"))
WARP = ("rlnDetectorPixelSize", "rlnMagnification")
"""µm on the detector, and how many times these are magnified."""
RECONSTRUCTIONS = tuple(f"rlnTomoReconstructedTomogram{which}" for which in ("", "Denoised", "Half1"))
SIZES = tuple(f"rlnTomoSize{axis}" for axis in "XYZ")


def optimisation_set(path: Path) -> tuple[Path, Path | None] | None:
    """Particles and tomograms that an optimisation set names, beside it or here; None for other files."""
    for block in star_blocks(path).values():
        row = block if isinstance(block, dict) else block.iloc[0].to_dict() if len(block) else {}
        if "rlnTomoParticlesFile" in row:
            tomograms = row.get("rlnTomoTomogramsFile")
            return _found(str(row["rlnTomoParticlesFile"]), path), (
                _found(str(tomograms), path) if tomograms else None
            )
    return None


def _found(name: str, beside: Path) -> Path:
    for folder in (Path(), beside.parent, *beside.resolve().parents):
        with suppress(OSError, ValueError):  # a name that no file can have
            if (folder / name).is_file():
                return folder / name
    raise InputError(f"{beside}: names {shortened(name)}, which is not there; run where the project lies")


def reconstructions(path: Path, column: str = "") -> dict[str, Path | None]:
    """The volume of each tomogram in a tomograms.star, by name; None where it tells no files.

    column: which of its volumes, of RELION the reconstruction where none is named. Raises InputError where
    there are no tomograms, the column is not there, or a file is not.
    """
    for table in star_blocks(path).values():
        if not isinstance(table, pd.DataFrame) or "rlnTomoName" not in table:
            continue
        names = _bare_names(table["rlnTomoName"])
        if column and column not in table:
            there = [name for name in map(str, table) if name.startswith(RECONSTRUCTIONS[0])]
            raise InputError(f"{path}: no column {column}; there are {some_of(there) or 'none of volumes'}")
        chosen = next((name for name in (column, *RECONSTRUCTIONS) if name in table), None)
        if chosen is None:
            return dict.fromkeys(names)
        return {name: _found(str(file), path) for name, file in zip(names, table[chosen], strict=True)}
    raise InputError(f"{path}: tells no tomograms (rlnTomoName); give a tomograms.star or optimisation set")


def sizes_of(path: Path) -> dict[str, TomogramSize]:
    """The size of each tomogram in a tomograms.star, by name. Raises InputError where it tells none."""
    for table in map(as_table, star_blocks(path).values()):
        if table is not None and "rlnTomoName" in table and set(SIZES) <= set(table):
            pixel = next((c for c in ("rlnTomoTiltSeriesPixelSize", *PIXEL_SIZES) if c in table), None)
            if pixel is None:
                break
            size = star_numbers(table, *SIZES) * star_numbers(table, pixel) * 0.1
            if not (np.isfinite(size) & (size > 0)).all():
                raise InputError(f"{path}: a size of a tomogram is no positive number; mend its row")
            names = _bare_names(table["rlnTomoName"])
            return {
                name: TomogramSize((float(x), float(y), float(z)))
                for name, (x, y, z) in zip(names, size, strict=True)
            }
    raise InputError(
        f"{path}: tells no sizes of tomograms (rlnTomoName, rlnTomoSizeX, Y, Z, rlnTomoTiltSeriesPixelSize)"
    )


def star_particles(
    path: Path, sizes: Mapping[str, TomogramSize] | None = None, pixel_size_nm: float | None = None
) -> Particles:
    """The particles of a STAR file.

    sizes: of tomograms by name, for coordinates that count from the centre. pixel_size_nm: of the
    coordinates, where the file does not tell. Raises InputError where places cannot be known.
    """
    blocks = star_blocks(path)
    table = blocks[particle_block(blocks, path)]
    names = _names(table)
    places = _places_nm(table, names, blocks, sizes or {}, pixel_size_nm, path)
    shift = _shifts_nm(table, blocks, pixel_size_nm, path)
    with naming(path):
        subtomogram = _rotation(table, SUBTOMOGRAM_ANGLES)
        places = places - (shift if subtomogram is None else subtomogram.apply(shift))
        poses = _rotation(table, ANGLES)
        if subtomogram is not None:
            poses = subtomogram if poses is None else subtomogram * poses
        return believable(Particles(places, poses, names))


def particle_block(blocks: Mapping[str, Any], path: Path) -> str:
    """The name of the block that holds particles. Raises InputError where there is none."""
    for name, table in blocks.items():
        if isinstance(table, pd.DataFrame) and (set(COORDINATES) <= set(table) or set(CENTRED) <= set(table)):
            return name
    raise InputError(
        f"{path}: has no particles: neither rlnCoordinateX, Y, Z nor rlnCenteredCoordinateX, Y, ZAngst in a "
        "table"
    )


def _names(table: pd.DataFrame) -> tuple[str, ...]:
    column = next((name for name in TOMOGRAM_NAMES if name in table), None)
    if column is None:
        return ("",) * len(table)
    return _bare_names(table[column])


def _bare_names(column: pd.Series) -> tuple[str, ...]:
    """The `bare_name` of each cell, of which one that holds "nan" was read as a number."""
    return tuple(bare_name(str(name)) for name in column)


def bare_name(name: str) -> str:
    """A tomogram's name without folders and the endings that programs give it (``.tomostar``, ``.mrc``)."""
    name = Path(name).name
    for ending in (WARP_ENDING, ".mrc", ".rec", ".st", ".mrcs"):
        name = name.removesuffix(ending)
    return name


def _places_nm(
    table: pd.DataFrame,
    names: Sequence[str],
    blocks: Mapping[str, Any],
    sizes: Mapping[str, TomogramSize],
    pixel_size_nm: float | None,
    path: Path,
) -> Floats:
    """Places (n, 3) in nm from the first voxel's centre on, without the refined shift."""
    if not set(CENTRED) <= set(table):
        return star_numbers(table, *COORDINATES) * _pixels_nm(table, blocks, pixel_size_nm, path)
    owners = {name: owner_of(name, list(sizes)) for name in set(names)}
    lacking = sorted(name for name, owner in owners.items() if owner is None)
    if lacking:
        raise InputError(
            f"{path}: its coordinates count from the centre of tomograms whose size is not known "
            f"({some_of(lacking, 5) or 'without names'}); pass --tomograms tomograms.star, the "
            "optimisation set, or --tomogram with the volumes"
        )
    half = np.array([np.asarray(sizes[str(owners[name])].size_nm) / 2 for name in names])
    return star_numbers(table, *CENTRED) * 0.1 + half.reshape(-1, 3)


def _shifts_nm(
    table: pd.DataFrame, blocks: Mapping[str, Any], pixel_size_nm: float | None, path: Path
) -> Floats:
    if set(SHIFTS_ANGSTROM) <= set(table):
        return star_numbers(table, *SHIFTS_ANGSTROM) * 0.1
    if set(SHIFTS_PIXELS) <= set(table):  # RELION 3.0, in pixels of the particles
        return star_numbers(table, *SHIFTS_PIXELS) * _pixels_nm(table, blocks, pixel_size_nm, path)
    return np.zeros((len(table), 3))


def _pixels_nm(
    table: pd.DataFrame, blocks: Mapping[str, Any], pixel_size_nm: float | None, path: Path
) -> Floats:
    """The size (n, 1) in nm of the pixels that coordinates count in."""
    if pixel_size_nm is not None:
        return np.full((len(table), 1), pixel_size_nm)
    sizes = pixel_sizes_nm(table, blocks)
    if sizes is None and set(WARP) <= set(table):
        detector, magnified = star_numbers(table, *WARP).T
        with np.errstate(divide="ignore", invalid="ignore"):
            sizes = detector * 1e3 / magnified
    if sizes is None or not (np.isfinite(sizes) & (sizes > 0)).all():
        why = "tells no pixel size" if sizes is None else "tells pixel sizes that are no positive numbers"
        raise InputError(f"{path}: {why} of its coordinates; pass --pixel-size NM")
    return sizes[:, None]


def _rotation(table: pd.DataFrame, columns: Sequence[str]) -> Any:
    return from_relion(star_numbers(table, *columns)) if set(columns) <= set(table) else None


def write_with_columns(path: Path, source: Path, block: str, columns: Mapping[str, Sequence[str]]) -> None:
    """Write a STAR file again with columns added to one block, every other byte as it was.

    source: the file; block: the name of its particles; columns: the words of each new column by its label,
    one a row. Raises InputError where the block is no loop of so many rows.
    """
    lines = read_text(source, MOST_CSV_BYTES, "a STAR file").rstrip("\n").split("\n")
    labels, rows = _loop(lines, block, source)
    old = {line.split()[0].lstrip("_") for line in (lines[at].strip() for at in labels)}
    fresh = {label: values for label, values in columns.items() if label not in old}
    if len(fresh) < len(columns):
        earlier = ", ".join(sorted(set(columns) & old))
        raise InputError(
            f"{source}: has {earlier} of an earlier join; give the particles as they were before"
        )
    if any(len(values) != len(rows) for values in columns.values()):
        raise InputError(f"{source}: its block {block} does not hold one particle a line")
    for number, at in enumerate(rows):
        lines[at] = " ".join([lines[at].rstrip(), *(values[number] for values in fresh.values())])
    head = [f"_{label} #{len(labels) + n}" for n, label in enumerate(fresh, start=1)]
    lines[labels[-1] + 1 : labels[-1] + 1] = head
    with written_beside(path) as beside:
        beside.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _loop(lines: Sequence[str], block: str, path: Path) -> tuple[list[int], list[int]]:
    """Which lines of a block's loop are its labels, and which its rows."""
    labels: list[int] = []
    rows: list[int] = []
    inside = looped = False
    for at, line in enumerate(lines):
        word = line.split()[0] if line.split() else ""
        if word.startswith("data_"):
            inside, looped = word == f"data_{block}", False
        elif inside and word == "loop_":
            looped = True
        elif inside and looped and word.startswith("_") and not rows:
            labels.append(at)
        elif inside and looped and labels and word and not word.startswith("#"):
            rows.append(at)
    if not labels or not rows:
        raise InputError(f"{path}: its block {block} is no loop with rows; write it again with RELION")
    return labels, rows
