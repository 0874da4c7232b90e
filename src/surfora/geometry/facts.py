"""What a surface knows of itself, as it travels between stages and in the field data of its VTP."""

from __future__ import annotations

import json
import math
import re
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from tomocore.contract import InputError
from tomocore.files_of_tomograms import safe_name
from tomocore.side_files import parsed_json, shortened

KINDS = ("medial.points", "medial", "isosurface", "proxy", "inner", "outer")
"""What may stand between NAME and the ending of a file of `surfora run`; the longest that fits counts."""
_GRID = re.compile(r"([1-9]\d{0,8} ){3}(\d[\d.]*(e[-+]?\d+)?)( -?\d[\d.]*(e[-+]?\d+)?){3}", re.ASCII)


@dataclass(frozen=True)
class SurfaceFacts:
    """NAME and kind of a surface, the label and ROI it was cut by, its mask, and what decided its side.

    ``rois`` is the file of its ROI, ``grid`` that of the mask's file (`masks.grids`); ``filled`` marks the
    boundary of a filled body; ``removed_pieces`` and their share are what cleaning took of the mask.
    ``identity`` is a hash of the voxels and settings that it was made from, ``provenance`` the id of the run.
    ``warnings`` are the lines that its making gave, for the report of a run that keeps it. Lengths in nm;
    NaN, None and empty text where something is not known.
    """

    name: str
    kind: str = ""
    label: str = ""
    roi: int | None = None
    source: str = ""
    thickness_nm: float = float("nan")
    voxel_size_nm: float = float("nan")
    orientation_rule: str = ""
    orientation_confidence: float = float("nan")
    provenance: str = ""
    identity: str = ""
    grid: str = ""
    filled: bool = False
    removed_pieces: int = 0
    removed_share: float = 0.0
    rois: str = ""
    warnings: str = ""

    @property
    def stem(self) -> str:
        """The mask's stem, which NAME begins with."""
        return stem_of(self.name, self.label, self.roi)

    def of(self, kind: str) -> SurfaceFacts:
        """The same for another surface of the same membrane."""
        return replace(self, kind=kind)

    def row(self) -> dict[str, Any]:
        """The columns of surfaces.csv that a surface brings along."""
        row = asdict(self)
        del row["identity"], row["grid"], row["rois"], row["warnings"]
        return row


def stem_of(name: str, label: str, roi: float | None) -> str:
    """The mask's stem in a surface's NAME: without its ROI and its ``label``."""
    if is_number(roi):
        name = name.removesuffix(f"_roi{int(roi):03d}")  # type: ignore[arg-type]
    return name.removesuffix(f"_{safe_name(label)}") if label else name


def is_number(roi: float | None) -> bool:
    """Whether a table's cell holds the number of an ROI; it is None or NaN where there is none."""
    return roi is not None and roi == roi


def surface_name(path: Path) -> str:
    """NAME of a surface's file: without its ending and, as in ``NAME.medial.vtp``, its kind."""
    stem = path.name.removesuffix(path.suffix)
    kind = next((kind for kind in KINDS if stem.endswith(f".{kind}")), "")
    return stem.removesuffix(f".{kind}") if kind else stem


def facts_text(facts: SurfaceFacts) -> str:
    """The facts as JSON in ASCII, which is all that the field data of VTK hold."""
    return json.dumps(asdict(facts))


def parsed_facts(text: str, path: Path) -> SurfaceFacts:
    """The facts that `facts_text` wrote. What is missing takes its default, NAME that of the file ``path``.

    Raises InputError where they are not such facts or one is of another type; it names the file.
    """
    found = parsed_json(text, dict[str, Any], f"{path}: its field 'facts'", "run `surfora run` again")
    known: dict[str, Any] = {"name": surface_name(path)}
    for field in fields(SurfaceFacts):
        if found.get(field.name) is not None:
            known[field.name] = _checked(found[field.name], str(field.type), f"{path}: fact '{field.name}'")
    _require_grid(known.get("grid", ""), f"{path}: fact 'grid'")
    return SurfaceFacts(**known)


def _require_grid(text: str, where: str) -> None:
    """InputError where a text is neither empty nor a grid: three counts of voxels, their edge, a place."""
    if text and not _GRID.fullmatch(text):
        raise InputError(f"{where} is {shortened(text)}, no grid of voxels; run `surfora run` again")


def _checked(value: Any, kind: str, where: str) -> Any:
    """A value of JSON as the type of its field (``str``, ``bool``, ``float``, ``int`` or ``int | None``)."""
    if (kind == "str" and isinstance(value, str)) or (kind == "bool" and isinstance(value, bool)):
        return value
    if kind not in ("str", "bool") and isinstance(value, int | float) and not isinstance(value, bool):
        if kind == "float":
            return float(value)
        if math.isfinite(value) and value == int(value) and abs(value) < 2**53:
            return int(value)
    raise InputError(f"{where} is {shortened(value)}, not of type {kind}; run `surfora run` again")
