"""Which files belong to one tomogram, by their names: maps, labels, membranes, ROIs."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tomocore.contract import InputError
from tomocore.volumes.formats import volume_files, volume_stem

log = logging.getLogger(__name__)


def tomogram_stem(path: Path) -> str:
    """``tomo_01`` of ``tomo_01__confidence.mrc`` or ``tomo_01__rois.npz``."""
    return (path.stem if path.suffix.lower() == ".npz" else volume_stem(path)).split("__")[0]


def labels_of(tomograms: list[Path], labels: list[Path]) -> list[Path]:
    """The labels among ``labels`` named after one of the tomograms, or all of them where none is."""
    stems = {volume_stem(path) for path in tomograms}
    return [path for path in labels if tomogram_stem(path) in stems] or labels


def membrane_files(paths: Sequence[Path]) -> list[Path]:
    """The files among ``paths``, of each folder its <stem>__membranes or, without such, __confidence maps."""
    files: list[Path] = []
    for path in paths:
        drawn = path.is_dir() and not any(path.glob("*__membranes.*")) and any(path.glob("*__confidence.*"))
        files += volume_files([path], "confidence" if drawn else "membranes")
    return files


def membranes_of(maps: list[Path], membranes: list[Path]) -> dict[Path, Path]:
    """Which membranes belong to which map, by the tomogram's name; maps of no such name are left out.

    Where no name fits any map, files are paired by order, with a warning. Raises InputError where their
    numbers differ then.
    """
    by_stem = {tomogram_stem(path): path for path in membranes}
    named = {path: by_stem[tomogram_stem(path)] for path in maps if tomogram_stem(path) in by_stem}
    if named or not membranes:
        return named
    if len(membranes) != len(maps):
        raise InputError(
            f"--membranes names {len(membranes)} files for {len(maps)} maps and their names do not match; "
            "give one a map"
        )
    told = ", ".join(f"{a.name} with {b.name}" for a, b in zip(maps, membranes, strict=True))
    log.warning("membranes are paired by their order, since their names differ: %s", told)
    return dict(zip(maps, membranes, strict=True))


def made_by(confidence: Path) -> dict[str, Any]:
    """What `predict` wrote beside a confidence map about how it was made; empty where nothing is there."""
    try:
        return dict(json.loads(confidence.with_suffix(".json").read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def model_threshold(confidence: Path) -> float | None:
    """The threshold of the model that made a confidence map, if that is known."""
    threshold = made_by(confidence).get("threshold")
    return None if threshold is None else float(threshold)


def roi_files(paths: list[Path], ending: str, volumes: str = "") -> list[Path]:
    """The files, each folder replaced by its files of that ending, or without such its __<volumes>."""
    files: list[Path] = []
    for path in paths:
        inside = sorted(path.glob(f"*{ending}")) if path.is_dir() else [path]
        if not inside and not volumes:
            raise InputError(f"{path}: this folder holds no *{ending} files; name the files themselves")
        files += inside or volume_files([path], volumes)
    return files
