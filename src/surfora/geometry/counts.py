"""Counts in the heads of PLY and STL files, held against the length of the file before anybody reads it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from tomocore.contract import whole_number

MOST_HEAD_BYTES = 2**16
SIZES = {
    **dict.fromkeys(("char", "uchar", "int8", "uint8"), 1),
    **dict.fromkeys(("short", "ushort", "int16", "uint16"), 2),
    **dict.fromkeys(("int", "uint", "int32", "uint32", "float", "float32"), 4),
    **dict.fromkeys(("double", "float64", "int64", "uint64"), 8),
}
"""Bytes of the types of PLY."""
STL_HEAD_BYTES, STL_TRIANGLE_BYTES = 84, 50
_END = re.compile(rb"^\s*end_header[ \t]*\r?(?:\n|$)", re.MULTILINE)


def require_possible_counts(path: Path) -> None:
    """ValueError where a PLY or STL file is too short for what its head counts; other files are let be."""
    ending = path.suffix.lower()
    if ending == ".ply":
        _require_possible_ply(path)
    elif ending == ".stl":
        _require_possible_stl(path)


def _require_possible_ply(path: Path) -> None:
    with path.open("rb") as file:
        head = file.read(MOST_HEAD_BYTES)
    end = _END.search(head)
    if not head.startswith(b"ply") or end is None:
        raise ValueError("its head is not that of a PLY file")
    lines = [line.split() for line in head[: end.start()].decode("latin-1").splitlines()]
    is_ascii = ["format", "ascii"] in [line[:2] for line in lines]
    need = 0
    for name, count, kinds in _elements(lines):
        least = 2 * len(kinds) if is_ascii else sum(SIZES[kind] for kind in kinds)
        need += count * least
        if name == "face" and count:
            # Corners of a list, three at least: of a byte each, or a digit and a space.
            need += count * (6 if is_ascii else 3)
    have = path.stat().st_size - end.end()
    if need > have + 2:  # the last line may have neither space nor line end
        raise ValueError(
            f"its head promises at least {need:,} bytes of points and triangles, there are {have:,}"
        )


def _elements(lines: Sequence[Sequence[str]]) -> list[tuple[str, int, list[str]]]:
    """Name, count and types of the properties of each element; of a list that of its count."""
    found: list[tuple[str, int, list[str]]] = []
    for line in lines:
        if line[:1] == ["element"] and len(line) == 3:
            count = whole_number(line[2])
            if count is None:
                raise ValueError(f"its head counts {line[2][:20]} of {line[1][:20]}")
            found.append((line[1], count, []))
        elif line[:1] == ["property"] and found and len(line) >= 3:
            kind = line[2] if line[1] == "list" else line[1]
            if kind not in SIZES:
                raise ValueError(f"its head names a type {kind[:20]}, which PLY has not")
            found[-1][2].append(kind)
    return found


def _require_possible_stl(path: Path) -> None:
    """A binary file holds what its count says, or at least whole triangles: some programs never set it."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(1024)
    if head.lstrip()[:5].lower() == b"solid" and b"\0" not in head:
        return
    count = int.from_bytes(head[80:84], "little")
    body = size - STL_HEAD_BYTES
    if body < 0 or (body < count * STL_TRIANGLE_BYTES and body % STL_TRIANGLE_BYTES):
        raise ValueError(f"it is cut short, {count:,} triangles are promised in {size:,} bytes")
