"""`phantom` at the level of files: settings and a seed, or a segmentation in; tomograms and truth out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tomocore.contract import NOBODY, Batch, InputError, Watcher
from tomocore.files import require_writable_folder
from tomocore.files_of_tomograms import tomogram_stem
from tomocore.volumes.formats import is_whole, read_volume
from tomorois.phantoms.from_labels import LabelPhantomSettings, label_pairs, write_phantom_from_labels
from tomorois.phantoms.phantom import Kind, PhantomSettings, phantom_paths, write_phantoms


@dataclass(frozen=True)
class PhantomRequest:
    """How many synthetic tomograms are made in which folder, from which seed on."""

    folder: Path
    count: int = 1
    seed: int = 0
    jobs: int = 1
    overwrite: bool = False


def make_phantom_files(
    request: PhantomRequest,
    kind: Kind,
    settings: PhantomSettings = PhantomSettings(),
    watcher: Watcher = NOBODY,
) -> Batch:
    """Draw tomograms of a kind with their truth; what was made and what was there already.

    Raises InputError for a count below one, and where phantoms of this kind and seed made with other settings
    would be mixed with new ones.
    """
    _require_count(request)
    batch, folder = Batch(watcher), require_writable_folder(request.folder)
    paths = phantom_paths(folder, kind, request.count, request.seed)
    there = _kept(paths, request)
    with watcher.progress("phantoms") as progress:
        write_phantoms(
            folder, kind, request.count, request.seed, settings, request.overwrite, request.jobs, progress
        )
    _tell(batch, paths, there)
    return batch


def make_phantom_files_from_labels(
    request: PhantomRequest,
    labels: Path,
    pairs: Sequence[str],
    settings: LabelPhantomSettings = LabelPhantomSettings(),
    voxel_size_nm: float | None = None,
    resample: bool = False,
    watcher: Watcher = NOBODY,
) -> Batch:
    """One tomogram a seed, all of the membranes of a segmentation: other optics, tethers and noise.

    ``request`` names folder, count, first seed and whether existing ones are replaced (they are skipped
    otherwise; here one process does it all). ``labels`` is a volume whose values above 0 are one membrane
    each; ``pairs`` ("1:3") are those whose contacts are the ROIs. ``voxel_size_nm`` overrules its header,
    ``resample`` brings voxels of unequal edges to one. The ``watcher`` hears of each tomogram. Raises
    InputError for labels that are not there, and where no pair comes within ``settings.contact_limit_nm``.
    """
    _require_count(request)
    batch, folder = Batch(watcher), require_writable_folder(request.folder)
    wanted, stem = label_pairs(pairs), tomogram_stem(labels)
    seeds = range(request.seed, request.seed + request.count)
    paths = [folder / f"{stem}_s{seed}.mrc" for seed in seeds]
    there = _kept(paths, request)
    if len(there) < len(paths):
        volume = read_volume(labels, voxel_size_nm, resample=resample)
        for seed, path in zip(seeds, paths, strict=True):
            with watcher.progress(path.stem) as progress:
                write_phantom_from_labels(
                    folder, path.stem, volume, wanted, seed, settings, request.overwrite, progress
                )
    _tell(batch, paths, there)
    return batch


def _require_count(request: PhantomRequest) -> None:
    if request.count < 1:
        raise InputError(f"--count {request.count}: at least one tomogram is needed")


def _kept(paths: Sequence[Path], request: PhantomRequest) -> set[Path]:
    return set() if request.overwrite else {path for path in paths if is_whole(path)}


def _tell(batch: Batch, paths: Sequence[Path], there: set[Path]) -> None:
    for path in paths:
        if path in there:
            batch.skip(str(path), "it exists; pass --overwrite to replace it")
        else:
            batch.finish(str(path))
