"""`predict` at the level of files: tomograms in, ``<stem>__confidence`` maps with their records out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tomocore.contract import NOBODY, Batch, InputError, Watcher, about
from tomocore.files import remove_leftovers, writable_folder, write_json, written_together
from tomocore.files_of_tomograms import matched, require_own_names, volume_stem
from tomocore.locks import one_writer
from tomocore.provenance import file_hash
from tomocore.volumes.formats import is_whole, read_volume
from tomorois.network.checkpoint import ModelRecord, load_model
from tomorois.network.msdnet.module import MSDNet
from tomorois.prediction.predict import PredictionInput, predict_to_file, require_orientations
from tomorois.prediction.record import record_of_map, record_path
from tomorois.prediction.settings import PredictSettings

MapFormat = Literal["mrc", "zarr"]


@dataclass(frozen=True)
class Predictor:
    """A model read from its file, and what the record of its maps says of it."""

    path: Path
    network: MSDNet
    record: ModelRecord
    sha256: str

    @property
    def sees_membranes(self) -> bool:
        """Whether it takes membranes beside the tomogram."""
        return self.network.config.input_channels > 1


def read_predictor(path: Path) -> Predictor:
    """The model in a file, for many tomograms; InputError where it is none."""
    return Predictor(path, *load_model(path), file_hash(path))


@dataclass(frozen=True)
class PredictRequest:
    """What is predicted where: maps of tomograms into a folder, each beside its membranes if it has any.

    ``what`` is the product that the maps are ("confidence"; "membranes" where a model draws them). With
    ``resample`` voxels of unequal edges are brought to one edge first.
    """

    tomograms: Sequence[Path]
    folder: Path
    membranes: Sequence[Path] = ()
    what: str = "confidence"
    uncertainty: bool = False
    file_type: MapFormat = "mrc"
    voxel_size_nm: float | None = None
    resample: bool = False
    overwrite: bool = False

    def target(self, tomogram: Path, what: str = "") -> Path:
        """Where the map of a tomogram is written."""
        return self.folder / f"{volume_stem(tomogram)}__{what or self.what}.{self.file_type}"


def predict_files(
    model: Path | Predictor,
    request: PredictRequest,
    settings: PredictSettings = PredictSettings(),
    watcher: Watcher = NOBODY,
) -> Batch:
    """Write the map of every tomogram with its record; what was done, skipped and failed.

    ``<stem>__confidence.mrc`` (0 to 1), its ``.json`` with the model, its hash and threshold, and with
    ``request.uncertainty`` ``<stem>__uncertainty.mrc``. Maps that exist are skipped. Membranes belong to
    the tomograms by `matched`. Raises InputError, before anything is read, where two
    tomograms would be written under one name, or the model and the membranes do not fit together.
    """
    if request.uncertainty:
        require_orientations(settings)
    require_own_names(request.tomograms, volume_stem)
    predictor = read_predictor(model) if isinstance(model, Path) else model
    sides = matched(request.tomograms, request.membranes, "membrane")
    batch = Batch(watcher)

    def one(path: Path) -> str | None:
        with one_writer(request.target(path)):
            reason = _reason_to_skip(path, request, predictor)
            if reason:
                batch.skip(str(path), reason)
                return None
            return _predict_one(path, sides, predictor, request, settings, watcher)

    with writable_folder(request.folder):
        remove_leftovers(request.folder)
        batch.each(request.tomograms, one)
    return batch


def _reason_to_skip(path: Path, request: PredictRequest, predictor: Predictor) -> str:
    target, spread = request.target(path), request.target(path, "uncertainty")
    if request.overwrite or not is_whole(target) or (request.uncertainty and not is_whole(spread)):
        return ""
    made_by = record_of_map(target).get("model_sha256", predictor.sha256)
    of_what = "exists" if made_by == predictor.sha256 else "exists, made by another model"
    return f"{target} {of_what}; pass --overwrite to replace it"


def _predict_one(
    path: Path,
    sides: Mapping[Path, Path],
    predictor: Predictor,
    request: PredictRequest,
    settings: PredictSettings,
    watcher: Watcher,
) -> str:
    if sides and path not in sides:
        raise InputError(f"{path}: no file of --membranes is named after it; give one, or leave it out")
    target, edge = request.target(path), request.voxel_size_nm
    volume = read_volume(path, edge, lazy=True, resample=request.resample)
    beside = None
    if path in sides:
        beside = read_volume(sides[path], edge, lazy=True, resample=request.resample)
    facts = {
        "model": predictor.path.name,
        "model_sha256": predictor.sha256,
        "threshold": predictor.record.threshold,
        "tomogram": path.name,
    }
    spread = [request.target(path, "uncertainty")] if request.uncertainty else []
    with written_together(*spread, record_path(target), target) as besides:
        with about(path.name), watcher.progress(path.name) as progress:
            asked = PredictionInput(predictor.network, predictor.record, volume, beside, settings)
            predict_to_file(asked, besides[-1], progress, besides[0] if request.uncertainty else None)
        write_json(besides[-2], {**facts, **settings.model_dump()})
    return f"wrote {target}"
