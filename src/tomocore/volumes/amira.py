"""Amira and Avizo meshes (``.am``) that hold a regular lattice: labels or grey values, read only.

Their bounding box runs from the centre of the first voxel to that of the last. It is in whatever unit the
user of Amira had in mind: believed only where the file names its unit (``Units { Coordinates "nm" }``).
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tomocore.contract import InputError
from tomocore.side_files import said_by
from tomocore.volumes.header import Geometry, Loader, Promised, Triple, VolumeHeader, checked_header
from tomocore.volumes.lazy import StoredArray
from tomocore.volumes.units import nm_per_unit, why_no_unit

MOST_HEADER_BYTES = 2**22
MOST_DIGITS = 18
KINDS = {
    "byte": "u1",
    "short": "i2",
    "ushort": "u2",
    "int": "i4",
    "int32": "i4",
    "uint": "u4",
    "float": "f4",
    "double": "f8",
}
MOST_PACKED = {"": 1, "HxByteRLE": 64, "HxZip": 1032}
"""How many times a packing can shrink anything."""
_FIRST_LINE = re.compile(r"#\s*(?:AmiraMesh|Avizo)\b(.*)")
_LATTICE = re.compile(r"define\s+Lattice\s+([0-9]+)\s+([0-9]+)\s+([0-9]+)")
_ARRAY = re.compile(
    r"Lattice\s*\{\s*(\w+)(?:\[(\d+)\])?\s+(\w+)\s*\}\s*=?\s*@(\d+)\s*(?:\(\s*(\w+)\s*(?:,\s*(\d+)\s*)?\))?"
)
_BOX = re.compile(r"BoundingBox\s+" + r"([-+.\deE]+)[\s,]+" * 5 + r"([-+.\deE]+)")
_UNIT = re.compile(r"Units\s*\{[^}]*?Coordinates\s+\"([^\"]*)\"", re.DOTALL)
_COORDINATES = re.compile(r"CoordType\s+\"([^\"]*)\"")


@dataclass(frozen=True)
class _Stored:
    """How the voxels lie in the file: their type, packing, and the packed bytes from ``offset`` on."""

    dtype: np.dtype[Any]
    packing: str  # "", "HxByteRLE" or "HxZip"
    packed_bytes: int
    offset: int
    is_text: bool


def open_amira(path: Path) -> tuple[VolumeHeader, Loader]:
    """Header of an Amira lattice and what gives its voxels, left on disk where they are stored plainly."""
    with path.open("rb") as file:
        raw = file.read(MOST_HEADER_BYTES)
    first = _FIRST_LINE.match(raw[:200].decode("latin-1"))
    if first is None:
        raise InputError(
            f"{path}: not an Amira file (its first line names no AmiraMesh); check what wrote it"
        )
    begin = re.search(rb"^@1[ \t]*\r?\n", raw, re.MULTILINE)
    head = raw[: begin.start() if begin else len(raw)].decode("utf-8", "replace")
    lattice, array = _LATTICE.search(head), _ARRAY.search(head)
    if begin is None or lattice is None or array is None:
        raise InputError(f"{path}: holds no regular lattice of voxels; export the label field as such (.am)")
    x, y, z = (_whole(path, n) for n in lattice.groups())
    stored = _stored(path, first[1], array, raw, begin.end())
    _require_uniform(path, head)
    plain = not stored.packing and not stored.is_text
    _require_possible(path, stored, z * y * x)

    def load() -> Any:
        if plain:
            return StoredArray(path, stored.dtype, stored.offset, (z, y, x))
        return _unpacked(path, stored, x * y * z).reshape(z, y, x)

    promised = Promised((z, y, x), stored.dtype)
    return checked_header(path, "Amira", promised, _geometry(head, (x, y, z)), on_disk=plain), load


def _whole(path: Path, digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise InputError(f"{path}: its header counts {digits[:MOST_DIGITS]}…; copy or write it again")
    return int(digits)


def _stored(path: Path, told: str, array: re.Match[str], raw: bytes, after_mark: int) -> _Stored:
    kind, components, _, mark, packing, packed_bytes = array.groups()
    if kind not in KINDS or (components or "1") != "1" or mark != "1":
        raise InputError(f"{path}: holds {kind}[{components or 1}], no single numbers; export one grey field")
    if packing not in (None, "HxByteRLE", "HxZip"):
        raise InputError(f"{path}: its packing {packing} is not read here; save it as plain binary in Amira")
    order = "<" if "LITTLE" in told.upper() else ">"
    return _Stored(
        np.dtype(order + KINDS[kind]),
        packing or "",
        _whole(path, packed_bytes or "0"),
        after_mark,
        "ASCII" in told.upper(),
    )


def _require_possible(path: Path, stored: _Stored, voxels: int) -> None:
    """InputError where the file is too short for its voxels, however well they are packed."""
    length = path.stat().st_size - stored.offset
    if stored.is_text:
        most = (length + 1) // 2  # a digit and a space
    else:
        most = length * MOST_PACKED[stored.packing] // stored.dtype.itemsize
    _require_voxels(path, most, voxels)


def _require_uniform(path: Path, head: str) -> None:
    kind = _COORDINATES.search(head)
    if kind is not None and kind[1].lower() != "uniform":
        raise InputError(
            f"{path}: its voxels lie on {kind[1]} coordinates; resample it to uniform ones in Amira"
        )


def _unpacked(path: Path, stored: _Stored, voxels: int) -> NDArray[Any]:
    with path.open("rb") as file:
        file.seek(stored.offset)
        raw = file.read(stored.packed_bytes) if stored.packing else file.read()
    length = voxels * stored.dtype.itemsize
    try:
        if stored.is_text:
            return _from_text(path, raw, stored, voxels)
        packed = stored.packing == "HxZip"
        whole = zlib.decompressobj().decompress(raw, length) if packed else _without_runs(raw)
    except (zlib.error, ValueError, OverflowError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: cannot be unpacked ({said_by(error)}); copy or write it again") from error
    _require_voxels(path, len(whole) // stored.dtype.itemsize, voxels)
    return np.frombuffer(whole, stored.dtype, voxels)


def _from_text(path: Path, raw: bytes, stored: _Stored, voxels: int) -> NDArray[Any]:
    data = np.array(raw.split(b"\n@", 1)[0].split(), np.float64)
    _require_voxels(path, data.size, voxels)
    if stored.dtype.kind in "iu":
        limits = np.iinfo(stored.dtype)
        if not ((data >= limits.min) & (data <= limits.max)).all():
            raise ValueError(f"numbers beyond its type {stored.dtype}")
    return data[:voxels].astype(stored.dtype)


def _without_runs(raw: bytes) -> bytes:
    """Bytes of HxByteRLE: a count and the byte it repeats, or a count with bit 7 and as many bytes."""
    out, at = bytearray(), 0
    while at < len(raw) - 1:
        count = raw[at]
        if count & 0x80:
            count &= 0x7F
            out += raw[at + 1 : at + 1 + count]
            at += 1 + count
        else:
            out += raw[at + 1 : at + 2] * count
            at += 2
    return bytes(out)


def _require_voxels(path: Path, found: int, wanted: int) -> None:
    if found < wanted:
        raise InputError(
            f"{path}: truncated, its header promises {wanted:,} voxels and there are {found:,}; "
            "copy or write it again"
        )


def _geometry(head: str, lengths: tuple[int, int, int]) -> Geometry:
    """Voxel size and place from the bounding box, where its unit is named."""
    box = _BOX.search(head)
    if box is None:
        return Geometry(why="because it has no bounding box")
    try:
        numbers = [float(number) for number in box.groups()]
    except ValueError:
        return Geometry(why=f"because its bounding box holds {box[0][:60]!r}")
    lows, highs = numbers[::2], numbers[1::2]
    edges = [
        (high - low) / (n - 1) if n > 1 else 0.0 for low, high, n in zip(lows, highs, lengths, strict=True)
    ]
    depth = max(edges)  # of a single plane the box tells nothing
    x, y, z = (edge or depth for edge in edges)
    unit = _UNIT.search(head)
    nm = nm_per_unit(unit[1] if unit else None)
    if nm:
        return Geometry(_scaled((x, y, z), nm), _scaled((lows[0], lows[1], lows[2]), nm))
    told = " × ".join(f"{edge:.6g}" for edge in (x, y, z))
    why = why_no_unit(unit[1] if unit else None, "its parameters")
    starts = [low / edge if edge else 0.0 for low, edge in zip(lows, (x, y, z), strict=True)]
    return Geometry(
        start_voxels=(starts[0], starts[1], starts[2]), why=f"{why} (its bounding box has voxels of {told})"
    )


def _scaled(lengths: Triple, by: float) -> Triple:
    x, y, z = lengths
    return x * by, y * by, z * by
