"""What the header of an MRC file means: the order of axes, voxel size and place, signed bytes or not.

Columns, rows and sections run along the axes that mapc, mapr and maps name; nx and nxstart belong to
columns, mx and cella to x. The place is `origin` where that is set, else nxstart and its likes times the
voxel size, as ChimeraX has it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tomocore.contract import InputError
from tomocore.volumes.header import ANGSTROM_PER_NM, Geometry, Triple

IMOD_STAMP = 1146047817
UNSTAMPED = "lacks the MAP stamp of an MRC file"
VOLUME_STACKS = range(401, 631)
"""Space group numbers (ISPG) that mark a stack of volumes, each of mz sections."""
LONGEST_AXIS = 2**20
MOST_BYTE_LABELS = 64  # bytes of more values than this are grey


def file_shape(head: Any) -> tuple[int, int, int]:
    """Sections, rows and columns as stored."""
    return int(head.nz), int(head.ny), int(head.nx)


def is_plausible(head: Any) -> bool:
    """Whether the lengths can be those of a volume."""
    lengths = file_shape(head)
    return min(lengths) >= 1 and max(lengths) <= LONGEST_AXIS and int(head.nsymbt) >= 0


def require_one_volume(path: Path, head: Any) -> None:
    """InputError where the header says that several volumes are stacked in the file."""
    sections, each = int(head.nz), int(head.mz)
    if int(head.ispg) in VOLUME_STACKS and 0 < each < sections and sections % each == 0:
        raise InputError(
            f"{path}: holds {sections // each} volumes of {each} sections each (ISPG {int(head.ispg)}); "
            f"write one volume a file, for example the first with IMOD's trimvol -z 1,{each}"
        )


def zyx_places_of(path: Path, head: Any) -> tuple[int, int, int]:
    """Where z, y and x stand among sections, rows and columns. Raises InputError for what is no order."""
    along = _axes_along(head)
    if sorted(along) != [1, 2, 3]:
        raise InputError(
            f"{path}: its header says that columns, rows and sections run along the axes {along[::-1]} "
            "(mapc, mapr, maps), which is no order of x, y and z (1, 2, 3); mend these fields"
        )
    return along.index(3), along.index(2), along.index(1)


def _axes_along(head: Any) -> tuple[int, int, int]:
    """Axes 1 to 3 (x, y, z) that sections, rows and columns run along; as usual where never set."""
    along = int(head.maps), int(head.mapr), int(head.mapc)
    return along if any(along) else (3, 2, 1)


def byte_kind(
    head: Any, stored: Callable[[], Iterable[NDArray[np.uint8]]]
) -> tuple[np.dtype[Any], list[str]]:
    """Whether the bytes of mode 0 are signed, as int8 or uint8, and a note where that was concluded.

    IMOD's stamp tells, else the header's minimum and maximum; where these are stale, were never set, or would
    make labels negative, the bytes themselves, which ``stored`` gives block by block.
    """
    low, high = float(head.dmin), float(head.dmax)
    signed, unsigned = np.dtype(np.int8), np.dtype(np.uint8)
    imod = _imod_says_unsigned(head)
    if imod is not None:
        return (unsigned if imod else signed), []
    if low < 0 and high <= 127:
        negative = _are_negative_labels(_counts(stored(), MOST_BYTE_LABELS))
        note = _signed_note("unsigned", "its labels would be negative")
        return (unsigned, [note]) if negative else (signed, [])
    if low >= 0 and high > 127:
        return unsigned, [_signed_note("unsigned", f"its header's maximum is {high:g}")]
    if all(block.max() <= 127 for block in stored()):
        return signed, []
    if 0 <= low < high:
        return unsigned, [_signed_note("unsigned", f"its header's minimum is {low:g}")]
    if _look_unsigned(_counts(stored())):
        return unsigned, [_signed_note("unsigned", "its values look so")]
    return signed, [_signed_note("signed", "its values look so")]


def _counts(stored: Iterable[NDArray[np.uint8]], most_values: int = 256) -> NDArray[np.int64]:
    """How often each byte occurs, counted until there are more different ones than wanted."""
    counts = np.zeros(256, np.int64)
    for block in stored:
        counts += np.bincount(block, minlength=256)
        if np.count_nonzero(counts) > most_values:
            break
    return counts


def _signed_note(kind: str, since: str) -> str:
    return f"its bytes (mode 0) are read as {kind}, since {since} and IMOD's stamp does not tell"


def _imod_says_unsigned(head: Any) -> bool | None:
    """What IMOD says of bytes (bit 0 of its flags is set for signed ones); None without its stamp."""
    extra = np.frombuffer(bytes(head.extra2), head.mode.dtype)
    stamp_at, flags_at = 10, 11  # bytes 152 and 156 of the header; extra2 starts at 112
    return not int(extra[flags_at]) & 1 if int(extra[stamp_at]) == IMOD_STAMP else None


def _are_labels(counts: NDArray[np.int64]) -> bool:
    return bool(np.count_nonzero(counts) <= MOST_BYTE_LABELS and counts[0] > 0.5 * counts.sum())


def _are_negative_labels(counts: NDArray[np.int64]) -> bool:
    """Whether labels would be negative if signed, as none is; a -1 beside others marks what is ignored."""
    ignored_alone = counts[255] > 0 and not counts[1:128].any()
    return _are_labels(counts) and bool(counts[128:255].any() or ignored_alone)


def _look_unsigned(counts: NDArray[np.int64]) -> bool:
    """Whether bytes are labels (never negative), or grey values that run on from 127 to 128."""
    if _are_labels(counts):
        return True
    return bool(counts[120:136].sum() >= counts[:8].sum() + counts[248:].sum())


def mrc_geometry(head: Any, shape_zyx: Sequence[int], notes: Sequence[str] = ()) -> Geometry:
    """Voxel size and place, with notes on the header and why its voxel size may be wrong."""
    size_a = _edges_angstrom(head)
    told = [*notes]
    if bytes(head.map)[:3] != b"MAP":
        told.append(f"{UNSTAMPED}; read as one because the rest of its header makes sense")
    if _axes_along(head) != (3, 2, 1):
        told.append(f"its sections run along {'xyz'[_axes_along(head)[0] - 1]}; its axes are put in order")
    if int(head.ispg) == 0 and int(head.mz) == 1 < int(head.nz) and np.allclose(size_a, size_a[0], rtol=0.02):
        told.append("its header calls it a stack of images, as tilt series are (ISPG 0, mz = 1)")
    origin_a, start, place_notes = _place_angstrom(head, size_a)
    return Geometry(
        _in_nm(size_a), _in_nm(origin_a), start, (*told, *place_notes), _why_size_is_wrong(head, shape_zyx)
    )


def _in_nm(angstrom: Triple) -> Triple:
    x, y, z = angstrom
    return x / ANGSTROM_PER_NM, y / ANGSTROM_PER_NM, z / ANGSTROM_PER_NM


def _edges_angstrom(head: Any) -> Triple:
    x, y, z = (
        float(head.cella[axis]) / int(head[f"m{axis}"]) if int(head[f"m{axis}"]) > 0 else 0.0
        for axis in "xyz"
    )
    return x, y, z


def _why_size_is_wrong(head: Any, shape_zyx: Sequence[int]) -> str:
    """Which of mx, my, mz are not the voxels along x, y, z, neither in the axes' nor in the file's order."""
    sampling = [int(head[f"m{axis}"]) for axis in "xyz"]
    if sampling == [int(head[f"n{axis}"]) for axis in "xyz"]:
        return ""
    wrong = [
        f"m{axis} = {count} while n{axis} = {voxels} (cell / n{axis} = {cell / voxels:.6g} Å)"
        for axis, count, voxels in zip("xyz", sampling, shape_zyx[::-1], strict=True)
        if count != voxels and (cell := float(head.cella[axis])) > 0
    ]
    return "because " + ", ".join(wrong) if wrong else ""


def _place_angstrom(head: Any, size_a: Triple) -> tuple[Triple, Triple | None, list[str]]:
    """Centre of the first voxel (x, y, z), the same in voxels where counted so, and notes."""
    starts = _starts_xyz(head)
    ox, oy, oz = (float(head.origin[axis]) for axis in "xyz")
    if not np.isfinite([ox, oy, oz]).all():
        return (0.0, 0.0, 0.0), None, ["its origin is no number; taken as 0"]
    sx, sy, sz = (start * edge for start, edge in zip(starts, size_a, strict=True))
    if not any((ox, oy, oz)):
        note = f"its header starts at voxel {starts} (nxstart ...); taken as its place"
        return (sx, sy, sz), starts, [note] if any(starts) else []
    apart = np.abs(np.subtract((ox, oy, oz), (sx, sy, sz)))
    if any(starts) and (apart > 0.5 * np.maximum(size_a, 1e-6)).any():
        note = f"its origin ({ox:g}, {oy:g}, {oz:g} Å) and its start at voxel {starts} (nxstart ...) differ"
        return (ox, oy, oz), None, [f"{note}; the origin is taken"]
    return (ox, oy, oz), None, []


def _starts_xyz(head: Any) -> tuple[int, int, int]:
    """The first voxel along x, y, z; the file counts along columns, rows and sections."""
    stored = int(head.nzstart), int(head.nystart), int(head.nxstart)
    along = _axes_along(head)
    x, y, z = (stored[along.index(axis)] for axis in (1, 2, 3))
    return x, y, z
