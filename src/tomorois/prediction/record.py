"""What `predict` writes beside a confidence map about how it was made, and what others read there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tomocore.contract import InputError
from tomocore.files_of_tomograms import PACKED_ENDINGS
from tomocore.side_files import read_json


def record_path(confidence: Path) -> Path:
    """The record's place: the map's name with .json, also where the map was packed since."""
    is_packed = confidence.suffix.lower() in PACKED_ENDINGS
    return (confidence.with_suffix("") if is_packed else confidence).with_suffix(".json")


def record_of_map(confidence: Path) -> dict[str, Any]:
    """Model, its hash, threshold and settings of a confidence map; empty where nothing readable is there."""
    try:
        return dict(read_json(record_path(confidence), dict[str, Any]))
    except (OSError, InputError):
        return {}


def model_threshold(confidence: Path) -> float | None:
    """The threshold of the model that made a confidence map, if that is known."""
    threshold = record_of_map(confidence).get("threshold")
    if isinstance(threshold, float) and 0 < threshold < 1:
        return float(threshold)
    return None


def threshold_in_force(confidence: Path, given: float | None) -> float:
    """The threshold given, else that of the map's model; InputError where neither is known."""
    threshold = model_threshold(confidence) if given is None else given
    if threshold is None:
        raise InputError(
            f"{confidence}: the threshold of the model that made it is not known, since no "
            f"{record_path(confidence).name} beside it tells; give one with --threshold"
        )
    return threshold
