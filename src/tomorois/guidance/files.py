"""`rank` at the level of files: confidence maps in, tables of tomograms and places out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from tomocore.contract import NOBODY, Batch, Watcher
from tomocore.files import require_writable_folder
from tomocore.files_of_tomograms import matched, require_own_names, tomogram_stem
from tomocore.roiset import read_rois
from tomocore.volumes.formats import read_volume
from tomorois.guidance.ranking import RankedTomogram, rank, write_ranking
from tomorois.guidance.settings import RankSettings
from tomorois.prediction.record import threshold_in_force


@dataclass(frozen=True)
class Ranking:
    """Tables of tomograms and of places, the least sure first, and the files they are in."""

    tomograms: pd.DataFrame
    places: pd.DataFrame
    files: Sequence[Path]


def rank_files(
    maps: Sequence[Path],
    target: Path,
    settings: RankSettings = RankSettings(),
    *,
    rois: Sequence[Path] = (),
    threshold: float | None = None,
    voxel_size_nm: float | None = None,
    resample: bool = False,
    overwrite: bool = False,
    watcher: Watcher = NOBODY,
) -> tuple[Batch, Ranking | None]:
    """Rank confidence ``maps``; write ``target`` (places) and ``<stem>__tomograms.csv`` unless it is there.

    ``rois`` of the maps are found by name; ``threshold`` is that of each map's model where not given;
    ``voxel_size_nm`` overrules headers, ``resample`` brings voxels of unequal edges to one. Uncertainty maps
    beside the confidence maps add a column. Raises InputError for a map whose threshold nobody knows.
    """
    require_own_names(maps)
    batch, made = Batch(watcher), []
    own = matched(maps, rois, "ROI")
    thresholds = {path: threshold_in_force(path, threshold) for path in maps}

    def one(path: Path) -> str:
        require_writable_folder(path.parent)
        tables = rank(_ranked_tomograms(thresholds, own, (voxel_size_nm, resample), watcher), settings)
        made.append(Ranking(*tables, write_ranking(path, *tables)))
        return "wrote " + " and ".join(str(file) for file in made[0].files)

    batch.make(target, overwrite, one)
    return batch, made[0] if made else None


def _ranked_tomograms(
    thresholds: Mapping[Path, float],
    rois: Mapping[Path, Path],
    reading: tuple[float | None, bool],
    watcher: Watcher,
) -> Iterator[RankedTomogram]:
    """The files of each tomogram, one at a time: its map, its ROIs, its uncertainty beside the map.

    ``reading``: the voxel edge in nm, if headers are overruled, and whether to resample.
    """
    edge_nm, resample = reading
    with watcher.progress("rank") as progress:
        for done, (path, threshold) in enumerate(thresholds.items()):
            progress(done, len(thresholds))
            spread = path.with_name(path.name.replace("__confidence", "__uncertainty"))
            has_spread = spread != path and spread.exists()
            yield RankedTomogram(
                tomogram_stem(path),
                read_volume(path, edge_nm, resample=resample),
                threshold,
                read_rois(rois[path], edge_nm, resample=resample) if path in rois else None,
                read_volume(spread, edge_nm, resample=resample) if has_spread else None,
            )
        progress(len(thresholds), len(thresholds))
