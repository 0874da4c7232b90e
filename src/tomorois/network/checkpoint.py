"""Model files and training states: one .safetensors each, nothing pickled, the header says all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from pydantic import ConfigDict, Field
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from tomocore.contract import InputError
from tomocore.files import written_beside
from tomocore.settings import Settings
from tomocore.side_files import StoredRow, checked
from tomocore.tensor_files import tensor_bytes, tensor_metadata
from tomorois.network.msdnet.config import MSDNetConfig
from tomorois.network.msdnet.module import MSDNet
from tomorois.network.settings import IntensitySettings, MembraneSettings

MODEL_FORMAT = "tomorois-msdnet"
STATE_FORMAT = "tomorois-training-state"
FORMAT_VERSION = 1
HEADER_KEY = "tomorois"
REMEDY = "copy or write it again"


class ModelRecord(Settings):
    """What a model was trained on and how its confidences are meant; travels in the model file."""

    voxel_size_nm: float = Field(gt=0, description="Voxel edge that the network sees, in nm, after binning.")
    bin_factor: int = Field(default=1, ge=1, description="Voxels a side averaged into one in training.")
    intensity: IntensitySettings = Field(
        default=IntensitySettings(), description="Polarity and normalisation of the training tomograms."
    )
    membranes: MembraneSettings = Field(
        default=MembraneSettings(), description="How membranes beside the tomogram become input."
    )
    threshold: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="Confidence from which a voxel counts as ROI, chosen on validation.",
    )
    skewness: float | None = Field(
        default=None, description="Mean skewness of the training tomograms after normalisation, without unit."
    )
    training: dict[str, Any] = Field(
        default_factory=dict, description="Training record: inputs, settings, versions, times, scores."
    )


class TrainedTomogram(StoredRow):
    """What a training record says of a tomogram, as far as it is read again; files as name and hash."""

    model_config = ConfigDict(strict=True)
    name: str
    rois: int
    held_out: bool
    tomogram: str = Field("unknown", pattern=r"\S")
    labels: str = Field("unknown", pattern=r"\S")


class TrainingFacts(StoredRow):
    """What is read again of a training record; it holds more."""

    model_config = ConfigDict(strict=True)
    tomograms: list[TrainedTomogram] = Field(default_factory=list)
    dice: float = 0.0
    refined_from: str | None = None


def checkpoint_beside(model_path: Path) -> Path:
    """Where the training of a model keeps the state that it can go on from."""
    return model_path.with_name(f"{model_path.stem}.training.safetensors")


def save_model(path: Path, model: MSDNet, record: ModelRecord) -> None:
    """Write weights, configuration and record as one .safetensors file, renamed into place."""
    header = {"config": model.config.model_dump(mode="json"), "record": record.model_dump(mode="json")}
    _save(path, model.state_dict(), MODEL_FORMAT, header)


def load_model(path: Path) -> tuple[MSDNet, ModelRecord]:
    """The network, ready to predict on the CPU, and its record.

    Raises InputError where the file is missing, cut short, or no model of this program.
    """
    tensors, header = _load(path, MODEL_FORMAT, "model file of TomoROIS; make one with: tomorois train")
    remedy = "train the model again"
    config = checked(header.get("config"), MSDNetConfig, f"{path}: config and network do not fit", remedy)
    record = checked(
        header.get("record"), ModelRecord, f"{path}: its record and this program do not fit", remedy
    )
    checked(record.training, TrainingFacts, f"{path}: its training record", remedy)
    model = MSDNet(config)
    shapes = {name: tuple(own.shape) for name, own in model.state_dict().items()}
    _require_tensors(path, tensors, shapes, remedy)
    model.load_state_dict(tensors)
    return model.eval(), record


def _require_tensors(
    path: Path, tensors: dict[str, Tensor], shapes: dict[str, tuple[int, ...]], remedy: str
) -> None:
    """InputError where the tensors of a file are others than those of its network, or hold no numbers."""
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if found != shapes:
        told = ", ".join(f"{name} {shape}" for name, shape in list(found.items())[:4]) or "none"
        raise InputError(f"{path}: its weights ({told}) do not fit its network; {remedy}")
    for name, tensor in tensors.items():
        if not tensor.is_floating_point() or not bool(torch.isfinite(tensor).all()):
            raise InputError(f"{path}: its weights {name} are no finite numbers; {remedy}")


def save_training_state(path: Path, tensors: dict[str, Tensor], info: dict[str, Any]) -> None:
    """Write all that a resumed training needs, bit for bit: named tensors and JSON values."""
    _save(path, tensors, STATE_FORMAT, {"info": info})


def load_training_state(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and values of `save_training_state`; InputError where the file is not one."""
    tensors, header = _load(path, STATE_FORMAT, "training state; start the training without --resume")
    return tensors, checked(
        header.get("info"), dict[str, Any], f"{path}: its values", "train without --resume"
    )


def _save(path: Path, tensors: dict[str, Tensor], kind: str, header: dict[str, Any]) -> None:
    header = {"format": kind, "format_version": FORMAT_VERSION, **header}
    metadata = {HEADER_KEY: json.dumps(header, sort_keys=True)}  # one key: the library shuffles several
    # Written by Python, whose errors name a full disk; the library's own file writer hides it.
    content = save({name: t.detach().cpu().contiguous() for name, t in tensors.items()}, metadata)
    with written_beside(path) as beside:
        beside.write_bytes(content)


def _load(path: Path, kind: str, wanted: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    if not path.is_file():
        raise InputError(f"{path}: no such file; give the path of a {wanted}")
    try:
        header = _header(path, kind, wanted)
        tensors = load(tensor_bytes(path))
    except InputError:
        raise
    except (SafetensorError, OSError, ValueError, TypeError, RuntimeError, MemoryError, KeyError) as error:
        problem = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: damaged or no .safetensors file ({problem}); {REMEDY}") from error
    return tensors, header


def _header(path: Path, kind: str, wanted: str) -> dict[str, Any]:
    """The values in the head of a file of some kind. Raises InputError for a file of another kind."""
    header: dict[str, Any] = tensor_metadata(path, HEADER_KEY, dict[str, Any], REMEDY)
    if header.get("format") != kind:
        raise InputError(f"{path}: a .safetensors file, but not a {wanted}")
    where = f"{path}: its header {HEADER_KEY}: format_version"
    version = checked(header.get("format_version", 0), int, where)
    if version > FORMAT_VERSION:
        raise InputError(f"{path}: written in format {version}, newer than this program; update it")
    return header
