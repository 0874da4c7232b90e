"""What is recorded of edits: a line of JSON each, with the points meant by number and by place.

Numbers are exact as long as the surface is the same, which a hash of its points tells. Places find the points
again where an earlier stage was run anew and left them where they were.
"""

from __future__ import annotations

import base64
import hashlib
import zlib
from typing import Annotated, Literal, TypeAlias

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from scipy.spatial import cKDTree

from surfora.geometry.arrays import Floats, Ints, Points
from surfora.geometry.clouds import LengthUnit
from tomocore.contract import InputError

FORMAT = "surfora edits"
TOLERANCE_NM = 0.1
"""How far a point may have moved and still be the one that was edited."""

EditKind = Literal["delete", "flip", "label"]


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Header(_Entry):
    """The first line: what the file is."""

    entry: Literal["header"] = "header"
    format: Literal["surfora edits"] = "surfora edits"
    version: Literal[1] = 1
    created: str = ""


class SourceEntry(_Entry):
    """A file that edits refer to by ``number``; ``digest`` is the hash of its points in nm.

    ``unit`` and ``voxel_size_nm`` are those by which another program's file was read, where they were given.
    """

    entry: Literal["source"] = "source"
    number: int = Field(ge=0)
    path: str
    count: int = Field(ge=0)
    digest: str
    unit: LengthUnit | None = None
    voxel_size_nm: float | None = None


class PointsOf(_Entry):
    """Points of one source, packed: numbers, places, and the normals that a flip left them with."""

    source: int = Field(ge=0)
    count: int = Field(ge=1)
    numbers: str
    places_nm: str
    normals: str | None = None


class EditEntry(_Entry):
    """One edit: what was done to which points; ``value`` is the class of a label, ``how`` for the reader."""

    entry: Literal["edit"] = "edit"
    kind: EditKind
    value: int = Field(0, ge=0, le=30_000)
    how: str = ""
    time: str = ""
    on: tuple[PointsOf, ...]


class StepEntry(_Entry):
    """The last edit was undone, or the one last undone was done again."""

    entry: Literal["undo", "redo"]


class RemadeEntry(_Entry):
    """A surface was meshed and measured anew: the file that was made, of which surface."""

    entry: Literal["remade"] = "remade"
    path: str
    of: str


class SavedEntry(_Entry):
    """Everything so far was written to files."""

    entry: Literal["saved"] = "saved"
    paths: tuple[str, ...] = ()


Entry: TypeAlias = Annotated[
    Header | SourceEntry | EditEntry | StepEntry | RemadeEntry | SavedEntry, Field(discriminator="entry")
]
ENTRIES: TypeAdapter[Header | SourceEntry | EditEntry | StepEntry | RemadeEntry | SavedEntry] = TypeAdapter(
    Entry
)


def digest_of(points: Points) -> str:
    """Hash of points (n, 3), the same on every machine."""
    return hashlib.sha256(np.ascontiguousarray(points, dtype="<f8").tobytes()).hexdigest()[:32]


def packed_points(source: int, numbers: Ints, points: Points, normals: Points | None = None) -> PointsOf:
    """Points of a source for a line of the journal.

    source: its number; numbers: (m,) ascending, of all its points (n, 3). normals: (m, 3) as the edit leaves
    them, where it is about normals.
    """
    steps = np.diff(numbers, prepend=0).astype("<i4")
    places = np.ascontiguousarray(points[numbers].T, dtype="<f4")  # axis after axis packs closer
    ways = None if normals is None else np.round(127 * np.nan_to_num(normals)).astype(np.int8)
    return PointsOf(
        source=source,
        count=len(numbers),
        numbers=_packed(steps.tobytes()),
        places_nm=_packed(places.tobytes()),
        normals=None if ways is None else _packed(ways.tobytes()),
    )


def unpacked_numbers(part: PointsOf) -> Ints:
    """The numbers (m,) of the points. Raises InputError where they are garbled."""
    steps = np.frombuffer(_unpacked(part.numbers, 4 * part.count), dtype="<i4")
    return np.cumsum(steps.astype(np.int64))


def unpacked_places(part: PointsOf) -> Floats:
    """The places (m, 3) of the points in nm, to 0.0001. Raises InputError where they are garbled."""
    flat = np.frombuffer(_unpacked(part.places_nm, 12 * part.count), dtype="<f4")
    return flat.reshape(3, part.count).T.astype(np.float64)


def unpacked_normals(part: PointsOf) -> Floats | None:
    """The normals (m, 3) that a flip left, to one part in a hundred; None for other edits."""
    if part.normals is None:
        return None
    return np.frombuffer(_unpacked(part.normals, 3 * part.count), np.int8).reshape(-1, 3) / 127.0


def found_again(part: PointsOf, is_same: bool, points: Points, tolerance_nm: float = TOLERANCE_NM) -> Ints:
    """For each point of ``part`` (m,) its number among ``points`` (n, 3), or −1 where it is gone.

    By number where the source ``is_same``, else the point nearest to each place, if within the tolerance.
    Raises InputError where a number is beyond the points.
    """
    if is_same:
        numbers = unpacked_numbers(part)
        if not (numbers.min() >= 0 and numbers.max() < len(points)):
            raise InputError(
                f"an edit names point {int(numbers.max())} of {len(points)}; the line is garbled"
            )
        return numbers
    places = unpacked_places(part)
    if not np.isfinite(places).all():
        raise InputError("an edit has a place that is no number; the line is garbled")
    if len(points) == 0:
        return np.full(part.count, -1, dtype=np.int64)
    away, nearest = cKDTree(points).query(places, distance_upper_bound=tolerance_nm)
    return np.where(np.isfinite(away), nearest, -1).astype(np.int64)


def _packed(raw: bytes) -> str:
    return base64.b64encode(zlib.compress(raw, 6)).decode("ascii")


def _unpacked(text: str, size: int) -> bytes:
    """The bytes of a packed text, never more than ``size`` of them, however much it would unfold to."""
    try:
        raw = zlib.decompressobj().decompress(base64.b64decode(text, validate=True), size + 1)
    except (ValueError, zlib.error) as error:
        raise InputError(f"the points of an edit are garbled ({error}); take the line out") from error
    if len(raw) != size:
        raise InputError(f"an edit has {len(raw)} bytes of points, not {size}; the line is garbled")
    return raw
