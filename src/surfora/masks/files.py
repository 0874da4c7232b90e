"""`clean` at the level of files, and the one membrane of a file for the stages that take one."""

from __future__ import annotations

from pathlib import Path

from surfora.geometry.request import StageRequest
from surfora.masks.cleaning import cleaned_volume
from surfora.masks.membranes import Membrane, membranes_in
from surfora.masks.settings import CleanSettings
from surfora.masks.values import above_threshold, labelled
from tomocore.contract import NOBODY, Batch, InputError, Watcher
from tomocore.files import require_writable_folder
from tomocore.volumes.formats import read_volume, volume_target, write_volume


def clean_file(
    request: StageRequest,
    settings: CleanSettings = CleanSettings(),
    threshold: float | None = None,
    watcher: Watcher = NOBODY,
) -> Batch:
    """Write a mask cleaned label by label; a map of scores becomes a mask at ``threshold`` first.

    Raises InputError for what is no mask, for scores without a threshold, and where nothing is left.
    """
    batch = Batch(watcher)

    def one(path: Path) -> str:
        volume_target(path)
        source = request.source
        volume = read_volume(source, request.voxel_size_nm, resample=request.resample)
        found = labelled(volume, source) if threshold is None else above_threshold(volume, threshold, source)
        cleaned = cleaned_volume(found, settings)
        require_writable_folder(path.parent)
        write_volume(path, cleaned)
        return f"wrote {path}"

    batch.make(request.target, request.overwrite, one)
    return batch


def only_membrane(request: StageRequest, mask: Path | None = None) -> Membrane:
    """The one membrane of a mask, the request's own file where none is named; InputError for several."""
    path = mask or request.source
    found = membranes_in(path, None, None, request.voxel_size_nm, resample=request.resample)
    if len(found) > 1:
        raise InputError(
            f"{path}: holds {len(found)} labels, and this stage takes one membrane; "
            "use `surfora run --labels`"
        )
    return found[0]
