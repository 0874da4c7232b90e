"""VTP files read without VTK, whose own reader ends the process on absurd counts and deep XML.

Only what a reader of surfaces needs is understood: one piece of polygonal data in any of VTK's encodings.
Every count is held against the bytes that are there before memory is taken for it. What is not understood
here (several pieces, LZ4) is told by `NotPlain`, and VTK reads it in a process of its own.
"""

from __future__ import annotations

import base64
import lzma
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.parsers import expat

import numpy as np
from numpy.typing import NDArray

from surfora.geometry.stored import CELL_KINDS, Cells, StoredSurface
from tomocore.contract import whole_number

DEEPEST = 16
MOST_ELEMENTS = 100_000
MOST_BLOCK_BYTES = 2**31
KINDS = {
    **{
        f"{sign}Int{bits}": f"{'u' if sign else 'i'}{bits // 8}"
        for sign in ("", "U")
        for bits in (8, 16, 32, 64)
    },
    "Float32": "f4",
    "Float64": "f8",
    "String": "i1",
}
SECTIONS = dict(zip(("Verts", "Lines", "Strips", "Polys"), CELL_KINDS, strict=True))
_APPENDED = re.compile(rb"<AppendedData\b([^>]*)>\s*_")


class NotPlain(Exception):
    """The file may be sound, but only VTK understands it."""


@dataclass
class _Array:
    """An array of the file as its XML describes it, with its text where it stands there."""

    section: str
    told: dict[str, str]
    text: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.told.get("Name", "")


@dataclass
class _Document:
    """What the XML of a file says: its attributes, those of its piece, and its arrays."""

    told: dict[str, str] = field(default_factory=dict)
    piece: dict[str, str] | None = None
    arrays: list[_Array] = field(default_factory=list)


def read_vtp(path: Path, fields_only: bool = False) -> StoredSurface:
    """The arrays of a VTP file; with ``fields_only`` those of its field data alone.

    Raises ValueError where counts, types or lengths do not fit, and `NotPlain` for what only VTK reads.
    """
    raw = path.read_bytes()
    if fields_only:
        raw = _up_to_fields(raw)
    appended = _APPENDED.search(raw)
    head = raw if appended is None else raw[: appended.start()] + b"</VTKFile>"
    document = _parsed(head)
    bodies = _Bodies(document.told, raw, appended)
    fields = {
        array.name: bodies.values(array, _whole(array.told, "NumberOfTuples", 1))
        for array in document.arrays
        if array.section == "FieldData" and array.told.get("type") in KINDS
    }
    if fields_only:
        return StoredSurface(np.empty((0, 3)), {}, {}, {}, fields)
    if document.piece is None:
        raise ValueError("it has no piece of polygonal data")
    count = _whole(document.piece, "NumberOfPoints")
    cells = {
        kind: _cells(document, bodies, section, _whole(document.piece, f"NumberOf{section}", 0))
        for section, kind in SECTIONS.items()
    }
    points = [array for array in document.arrays if array.section == "Points"]
    if len(points) != 1:
        raise ValueError("it has no array of points, or several")
    places = bodies.numbers(points[0], 3 * count).reshape(-1, 3)
    cell_count = sum(len(one.offsets) - 1 for one in cells.values())
    point_data = _data(document, bodies, "PointData", count)
    return StoredSurface(places, cells, point_data, _data(document, bodies, "CellData", cell_count), fields)


def _up_to_fields(raw: bytes) -> bytes:
    """The file without its surface, where the field data come first and stand in the XML, as in ours."""
    end = raw.find(b"</FieldData>")
    if not 0 <= end < raw.find(b"<Piece") or b"appended" in raw[:end]:
        return raw
    return raw[:end] + b"</FieldData></PolyData></VTKFile>"


def _parsed(xml: bytes) -> _Document:
    """The document of an XML text; ValueError for what is none, is nested deeply or defines entities."""
    document, count = _Document(), 0
    stack: list[str] = []

    def start(name: str, told: dict[str, str]) -> None:
        nonlocal count
        count += 1
        if len(stack) >= DEEPEST or count > MOST_ELEMENTS:
            raise ValueError("its XML is nested too deeply or has too many elements")
        if name == "VTKFile":
            document.told = told
            if told.get("type") != "PolyData":
                raise NotPlain
        elif name == "Piece":
            if document.piece is not None:
                raise NotPlain
            document.piece = told
        elif name in ("DataArray", "Array") and stack:
            document.arrays.append(_Array(stack[-1], told))
        stack.append(name)

    def text(letters: str) -> None:
        if stack and stack[-1] in ("DataArray", "Array") and document.arrays:
            document.arrays[-1].text.append(letters)

    def refuse(*_: Any) -> None:
        raise ValueError("its XML defines a document type")

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _: stack.pop()
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(xml, True)
    except expat.ExpatError as error:
        raise ValueError(f"its XML is broken: {error}") from error
    return document


def _whole(told: dict[str, str], name: str, otherwise: int | None = None) -> int:
    """A count that an element tells."""
    text = told.get(name, "" if otherwise is None else str(otherwise)).strip()
    number = whole_number(text)
    if number is None:
        raise ValueError(f"its {name} is {text[:40]!r}, no count")
    return number


def _cells(document: _Document, bodies: _Bodies, section: str, count: int) -> Cells:
    own = {array.name: array for array in document.arrays if array.section == section}
    if count == 0:
        return Cells(np.zeros(1, np.int64), np.empty(0, np.int64))
    if not {"connectivity", "offsets"} <= set(own):
        raise ValueError(f"its {section} lack connectivity or offsets")
    ends = bodies.numbers(own["offsets"], count).astype(np.int64)
    return Cells(np.concatenate([[0], ends]), bodies.numbers(own["connectivity"]).astype(np.int64))


def _data(document: _Document, bodies: _Bodies, section: str, count: int) -> dict[str, NDArray[Any]]:
    """Arrays of numbers (n,) or (n, k) of a section; those of other types are left out."""
    found = {}
    for array in document.arrays:
        if array.section != section or array.told.get("type") not in KINDS or array.told["type"] == "String":
            continue
        width = _whole(array.told, "NumberOfComponents", 1)
        values = bodies.numbers(array, count * width)
        found[array.name] = values if width == 1 else values.reshape(count, width)
    return found


class _Bodies:
    """Gives the numbers of the arrays, wherever and however they are written."""

    def __init__(self, told: dict[str, str], raw: bytes, appended: re.Match[bytes] | None) -> None:
        self.order = ">" if told.get("byte_order") == "BigEndian" else "<"
        self.header = np.dtype(self.order + ("u8" if told.get("header_type") == "UInt64" else "u4"))
        self.packing = told.get("compressor", "")
        if self.packing not in ("", *UNPACKERS):
            raise NotPlain
        self.appended: _Bytes | _Base64 | None = None
        if appended is not None:
            is_raw = re.search(rb'encoding\s*=\s*["\']raw', appended[1]) is not None
            rest = memoryview(raw)[appended.end() :]
            self.appended = _Bytes(rest) if is_raw else _Base64(bytes(rest).split(b"<", 1)[0])

    def values(self, array: _Array, count: int) -> Any:
        """Numbers of an array of the field data, or its texts."""
        if array.told["type"] != "String":
            return self.numbers(array, count * _whole(array.told, "NumberOfComponents", 1))
        texts = self.numbers(array).tobytes().split(b"\0")
        return [text.decode("utf-8", "replace") for text in texts[:count]]

    def numbers(self, array: _Array, count: int | None = None) -> NDArray[Any]:
        """The numbers of an array, in native byte order; ValueError where they are not as many as told."""
        kind = array.told.get("type", "")
        if kind not in KINDS:
            raise ValueError(f"its array {array.name} is of type {kind[:40]!r}")
        dtype = np.dtype(self.order + KINDS[kind])
        text = "".join(array.text)
        form = array.told.get("format", "ascii")
        if form == "ascii":
            found = _from_ascii(text, dtype)
        elif form == "binary":
            body = _Base64("".join(text.split()).encode("ascii", "replace"))
            found = np.frombuffer(self._body(body, 0, dtype, count), dtype)
        elif form == "appended" and self.appended is not None:
            at = _whole(array.told, "offset")
            found = np.frombuffer(self._body(self.appended, at, dtype, count), dtype)
        else:
            raise ValueError(f"its array {array.name} is in no format that VTK has ({form[:40]!r})")
        if count is not None and len(found) != count:
            raise ValueError(f"its array {array.name} has {len(found):,} values and should have {count:,}")
        return found.astype(dtype.newbyteorder("="), copy=False)

    def _body(self, body: _Bytes | _Base64, at: int, dtype: np.dtype[Any], count: int | None) -> bytes:
        size = self.header.itemsize
        first, after = body.take(at, size)
        length = int(np.frombuffer(first, self.header)[0])
        if not self.packing:
            if body.joins(after):
                return body.take(at, size + length)[0][size:]
            return body.take(after, length)[0]
        heads, after = body.take(at, size * (3 + length))
        numbers = [int(n) for n in np.frombuffer(heads, self.header)]
        return b"".join(
            self._unpacked(body, after, numbers, None if count is None else count * dtype.itemsize)
        )

    def _unpacked(
        self, body: _Bytes | _Base64, at: int, numbers: list[int], expected: int | None
    ) -> Iterator[bytes]:
        """The blocks of a packed array; ``numbers``: how many, their length, the last one's, those packed."""
        blocks, length, last = numbers[:3]
        total = (blocks - (last > 0)) * length + last
        if max(length, last) > MOST_BLOCK_BYTES or (expected is not None and total != expected):
            raise ValueError(f"an array of {total:,} bytes is promised where {expected} belong")
        packed, _ = body.take(at, sum(numbers[3:]))
        start = 0
        for block, size in enumerate(numbers[3:], 1):
            whole = last if block == blocks and last else length
            part = UNPACKERS[self.packing](packed[start : start + size], whole)
            if len(part) != whole:
                raise ValueError(f"a block of {len(part):,} bytes stands where {whole:,} belong")
            start += size
            yield part


def _from_ascii(text: str, dtype: np.dtype[Any]) -> NDArray[Any]:
    words = np.array(text.split(), dtype=np.str_)
    if words.size == 0:
        return np.empty(0, dtype)
    return words.astype(np.float64 if dtype.kind == "f" else np.int64).astype(dtype)


def _inflated(packed: bytes, length: int) -> bytes:
    return zlib.decompressobj().decompress(packed, length) if length else b""


def _without_lzma(packed: bytes, length: int) -> bytes:
    return lzma.LZMADecompressor().decompress(packed, length) if length else b""


UNPACKERS: dict[str, Callable[[bytes, int], bytes]] = {
    "vtkZLibDataCompressor": _inflated,
    "vtkLZMADataCompressor": _without_lzma,
}


class _Bytes:
    """Bytes as they are."""

    def __init__(self, raw: memoryview) -> None:
        self.raw = raw

    def take(self, at: int, count: int) -> tuple[bytes, int]:
        """Some bytes from a place on, and the place after them; ValueError where they are too few."""
        if count < 0 or at + count > len(self.raw):
            raise ValueError(f"{count:,} bytes are promised where {max(len(self.raw) - at, 0):,} are left")
        return bytes(self.raw[at : at + count]), at + count

    def joins(self, after: int) -> bool:
        """Whether a head and what follows it were encoded in one; never so for bytes."""
        return False


class _Base64:
    """Bytes written in base64, in groups that each end in their own padding."""

    def __init__(self, text: bytes) -> None:
        self.text = b"".join(text.split())

    def take(self, at: int, count: int) -> tuple[bytes, int]:
        """Some bytes from a place (in letters) on, and the place after their group."""
        letters = -(-count // 3) * 4
        if count < 0 or at + letters > len(self.text):
            raise ValueError(f"{count:,} bytes are promised where the text ends")
        return base64.b64decode(self.text[at : at + letters], validate=False)[:count], at + letters

    def joins(self, after: int) -> bool:
        """Whether a head and what follows it were encoded in one: the head's group has no padding."""
        return self.text[after - 1 : after] != b"="
