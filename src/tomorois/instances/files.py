"""`instances`, `restrict`, `crop` and `paste` at the level of files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tomocore.contract import NOBODY, Batch, InputError, Watcher, about
from tomocore.files import remove_leftovers, require_writable_folder, writable_folder
from tomocore.files_of_tomograms import matched, require_own_names, tomogram_stem, volume_stem
from tomocore.locks import one_writer
from tomocore.page import shown
from tomocore.roiset import is_readable, read_rois, write_rois
from tomocore.volumes.formats import is_whole, read_volume, volume_target, write_volume
from tomorois.instances.crops import CropSettings, crops_table, paste_masks, read_crops, write_crops
from tomorois.instances.find import find_instances
from tomorois.instances.restrict import RestrictSettings, require_mask, restrict_mask
from tomorois.instances.settings import InstanceSettings
from tomorois.prediction.record import threshold_in_force


def rois_path(folder: Path, stem: str) -> Path:
    """Where the ROIs of a tomogram are written with their overlaps; labels and table lie beside."""
    return folder / f"{stem}__rois.npz"


def find_instances_in_files(
    maps: Sequence[Path],
    folder: Path,
    settings: InstanceSettings = InstanceSettings(),
    *,
    membranes: Sequence[Path] = (),
    voxel_size_nm: float | None = None,
    resample: bool = False,
    overwrite: bool = False,
    watcher: Watcher = NOBODY,
) -> Batch:
    """Write the ROIs of confidence ``maps`` into ``folder``; what was done, skipped and failed.

    ``<stem>__rois.mrc`` (labels), ``.csv`` (table) and ``.npz`` (overlaps kept). The threshold is that of
    ``settings``, else of the model that made the map; a map of neither fails. Where ``membranes`` are given,
    ROIs are contacts unless ``settings.split`` says otherwise. ``resample`` brings voxels of unequal edges to
    one. Raises InputError where two maps are of one tomogram.
    """
    require_own_names(maps)
    partners = matched(maps, membranes, "membrane")
    batch = Batch(watcher)

    def one(path: Path) -> str | None:
        with one_writer(rois_path(folder, tomogram_stem(path))) as there:
            if is_readable(there) and not overwrite:
                batch.skip(str(path), f"{there} exists; pass --overwrite to replace it")
                return None
            return find(path)

    def find(path: Path) -> str:
        stem = tomogram_stem(path)
        if membranes and path not in partners:
            raise InputError(f"{path}: no file of --membranes is named after it; give one, or leave it out")
        threshold = threshold_in_force(path, settings.threshold)
        sides = read_volume(partners[path], voxel_size_nm, resample=resample) if path in partners else None
        confidence = read_volume(path, voxel_size_nm, resample=resample)
        with about(path.name), watcher.progress(path.name) as progress:
            chosen = settings.model_copy(update={"threshold": threshold})
            rois = find_instances(confidence, chosen, sides, progress)
        write_rois(folder, stem, rois, overwrite=True)
        return f"{stem}: {len(rois)} ROIs at threshold {shown(threshold)}"

    with writable_folder(folder):
        remove_leftovers(folder)
        batch.each(maps, one)
    return batch


def restrict_file(
    mask: Path,
    rois: Path,
    target: Path,
    settings: RestrictSettings = RestrictSettings(),
    *,
    voxel_size_nm: float | None = None,
    resample: bool = False,
    overwrite: bool = False,
    watcher: Watcher = NOBODY,
) -> Batch:
    """Write the membrane ``mask`` within the (grown) ``rois`` of its tomogram, labelled by ROI.

    Any value of the mask above 0 is membrane; ``rois`` is a ``.npz`` or a label volume on the same grid.
    ``settings`` hold the growth in nm. ``voxel_size_nm`` overrules the headers of both, ``resample`` brings
    voxels of unequal edges to one. A ``target`` that exists is skipped unless ``overwrite``; the ``watcher``
    hears of either. Raises InputError where the grids differ or a file cannot be read.
    """
    batch = Batch(watcher)

    def one(path: Path) -> str:
        volume_target(path)
        volume = require_mask(read_volume(mask, voxel_size_nm, resample=resample), mask)
        regions = read_rois(rois, voxel_size_nm, resample=resample)
        with about(mask.name), watcher.progress("restrict") as progress:
            cut = restrict_mask(volume, regions, settings.dilation_nm, progress)
        require_writable_folder(path.parent)
        write_volume(path, cut)
        return f"wrote {path}"

    batch.make(target, overwrite, one, is_whole)
    return batch


def crop_file(
    volume: Path,
    rois: Path,
    folder: Path,
    settings: CropSettings = CropSettings(),
    *,
    voxel_size_nm: float | None = None,
    resample: bool = False,
    overwrite: bool = False,
    watcher: Watcher = NOBODY,
) -> Batch:
    """Write a subvolume of ``volume`` for each of its ``rois`` into ``folder``, and a table of places.

    ``volume`` is the tomogram or a mask of it, ``rois`` a ``.npz`` or a label volume on the same grid;
    ``settings`` hold the margin in nm. ``voxel_size_nm`` overrules the headers of both, ``resample`` brings
    voxels of unequal edges to one. Everything is skipped where the table exists, unless ``overwrite``; the
    ``watcher`` hears of it. Raises InputError where the grids differ or a file cannot be read.
    """
    batch = Batch(watcher)
    stem = volume_stem(volume)

    def one(table: Path) -> str:
        regions = read_rois(rois, voxel_size_nm, resample=resample)
        whole = read_volume(volume, voxel_size_nm, lazy=True, resample=resample)
        with one_writer(crops_table(require_writable_folder(folder), stem)):
            remove_leftovers(folder)
            paths = write_crops(folder, stem, whole, regions, settings.margin_nm)
        return f"wrote {len(paths) - 1} subvolumes and {table}"

    batch.make(crops_table(folder, stem), overwrite, one)
    return batch


def paste_files(
    masks: Sequence[Path],
    crops: Path,
    like: Path,
    target: Path,
    *,
    voxel_size_nm: float | None = None,
    resample: bool = False,
    overwrite: bool = False,
    watcher: Watcher = NOBODY,
) -> Batch:
    """Write the ``masks`` of subvolumes, placed by the table ``crops``, on the grid of ``like``.

    The masks are named after the subvolumes that `crop_file` wrote together with the table; ``like`` is the
    volume that they were cut from, and its grid alone counts. ``voxel_size_nm`` overrules its header,
    ``resample`` brings voxels of unequal edges to one. A ``target`` that exists is skipped unless
    ``overwrite``; the ``watcher`` hears of either. Raises InputError for a mask that is no crop of the table
    or has another shape.
    """
    batch = Batch(watcher)

    def one(path: Path) -> str:
        volume_target(path)
        whole = read_volume(like, voxel_size_nm, lazy=True, resample=resample)
        pasted = paste_masks(read_crops(masks, crops, whole), whole)
        require_writable_folder(path.parent)
        write_volume(path, pasted)
        return f"wrote {path}"

    batch.make(target, overwrite, one, is_whole)
    return batch
