"""What the `tomorois` commands share: sections of the settings file, options that take several values."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from typing import Any, TypeVar

from cyclopts import Parameter

from tomocore.contract import InputError
from tomocore.files_of_tomograms import product_files
from tomocore.settings import Settings, load_section, settings_template

SECTIONS = {
    "phantom": "tomorois.phantoms.phantom:PhantomSettings",
    "phantom_from_labels": "tomorois.phantoms.from_labels:LabelPhantomSettings",
    "train": "tomorois.training.settings:TrainSettings",
    "learning_curve": "tomorois.guidance.settings:LearningCurveSettings",
    "predict": "tomorois.prediction.settings:PredictSettings",
    "instances": "tomorois.instances.settings:InstanceSettings",
    "restrict": "tomorois.instances.restrict:RestrictSettings",
    "crop": "tomorois.instances.crops:CropSettings",
    "evaluate": "tomorois.evaluation.settings:EvaluateSettings",
    "rank": "tomorois.guidance.settings:RankSettings",
}
"""The sections in order and their types, loaded when asked for."""

S = TypeVar("S", bound=Settings)


def several(help_text: str, **more: Any) -> Parameter:
    """An option that several values may follow."""
    return Parameter(consume_multiple=True, negative="", help=help_text, **more)


def membrane_files(paths: list[Path] | None) -> list[Path]:
    """The membranes named, of each folder its masks, else the maps that a model drew, else other volumes."""
    return product_files(paths or (), "membranes", "confidence", of_others=True)


def section(kind: type[S], name: str, path: Path | None, **overrides: Any) -> S:
    """The settings of one section, from a file or the defaults, with what the command line overrules."""
    return load_section(kind, name, tuple(SECTIONS), path, **overrides)


def template_of(name: str) -> str:
    """One section of a settings file with every default, its meaning and its range."""
    module, kind = SECTIONS[name].split(":")
    return settings_template(getattr(importlib.import_module(module), kind), name)


def require_torch() -> None:
    """InputError where PyTorch is not installed."""
    if importlib.util.find_spec("torch") is None:
        raise InputError(
            "training and prediction need PyTorch, which is not installed; "
            "install it with: pip install 'tomorois-surfora[rois]'"
        )
