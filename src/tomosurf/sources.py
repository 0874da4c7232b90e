"""Where a project's tomograms come from: files, folders, patterns, and the lists that other programs keep.

A ``tomograms.star`` or optimisation set (RELION 5, Warp) and the configuration of a copick project name
tomograms themselves. Which of several is meant stands behind a colon: a column
(``tomograms.star:rlnTomoReconstructedTomogramDenoised``), or copick's type and spacing
(``copick_config.json:wbp@10.000``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tomocore.contract import InputError
from tomocore.files_of_tomograms import is_volume_name, owner_of, tomogram_files, volume_stem
from tomocore.side_files import some_of

LISTS = re.compile(r"(?P<file>.+\.(?P<kind>star|json))(:(?P<which>.+))?", re.IGNORECASE)
WARP_FOLDERS = ("", "reconstruction", "warp_tiltseries/reconstruction")
"""Where Warp leaves reconstructions, seen from its tomograms.star."""


@dataclass(frozen=True)
class SourceList:
    """A list of tomograms that another program keeps, and which of several volumes of each is meant."""

    path: Path
    kind: str
    which: str = ""

    def named(self, name: str) -> str:
        """What a tomogram of it is called there: ``TS_01 in tomograms.star``."""
        return f"{name} in {self.path.name}"


def source_list(folder: Path, entry: str) -> SourceList | None:
    """The list that an entry of the settings means; None for a file, a folder or a pattern."""
    found = LISTS.fullmatch(entry)
    if found is None:
        return None
    return SourceList(folder / found["file"], found["kind"].lower(), found["which"] or "")


def tomograms_of(folder: Path, entries: Sequence[str]) -> dict[Path, str]:
    """Every tomogram that the settings name, and what its list calls it; "" where none does.

    ``folder`` is what paths are relative to. Raises InputError where an entry names no tomogram.
    """
    found: dict[Path, str] = {}
    for entry in entries:
        source = source_list(folder, entry)
        if source is None:
            found |= dict.fromkeys(_named_by(folder / entry), "")
        else:
            found |= {path: source.named(name) for name, path in _listed_in(source).items()}
    return {path: found[path] for path in tomogram_files(found)}  # each once, whatever its path looks like


def _named_by(path: Path) -> list[Path]:
    """The tomograms that a path or pattern names; a file that is gone fails by itself when it is read.

    Raises InputError for what is not there and no volume by its name, which would be taken for one.
    """
    files = tomogram_files([path])
    if files == [path] and not path.exists() and not is_volume_name(path):
        raise InputError(f"{path}: no such folder or file; check `tomograms` in the project file")
    return files


def segmentations_of(folder: Path, entry: str) -> list[Path] | None:
    """The segmentations that an entry ``copick_config.json:OBJECT`` means; None for a folder.

    ``USER_SESSION_OBJECT`` says which of several. Raises InputError where there are several of one run.
    """
    source = source_list(folder, entry)
    if source is None or source.kind != "json":
        return None
    from surfora.export.copick import segmentations

    return list(segmentations(source.path, source.which or "membrane").values())


def lists_in(folder: Path) -> list[str]:
    """The lists of tomograms that lie in a folder, by the names that programs give them."""
    patterns = ("*optimisation_set.star", "*tomograms.star", "*copick*.json")
    return [path.name for pattern in patterns for path in sorted(folder.glob(pattern))]


def _listed_in(source: SourceList) -> Mapping[str, Path]:
    if source.kind == "json":
        from surfora.export.copick import tomograms

        return tomograms(source.path, source.which)
    from surfora.export.star import optimisation_set, reconstructions

    named = optimisation_set(source.path)
    if named is not None and named[1] is None:
        raise InputError(f"{source.path}: names no tomograms (rlnTomoTomogramsFile); give its tomograms.star")
    path = source.path if named is None or named[1] is None else named[1]
    files = reconstructions(path, source.which)
    return _beside(path, list(files)) if not all(files.values()) else {n: f for n, f in files.items() if f}


def _beside(path: Path, names: Sequence[str]) -> dict[str, Path]:
    """The volumes of the tomograms that a list names without their files, where Warp leaves them."""
    volumes: list[Path] = []
    for place in (path.parent / folder for folder in WARP_FOLDERS):
        try:
            volumes += tomogram_files([place]) if place.is_dir() else []
        except InputError:
            continue
    found: dict[str, Path] = {}
    for volume in volumes:
        owner = owner_of(volume_stem(volume), names)
        if owner is not None and owner in found:
            raise InputError(
                f"{path}: {found[owner]} and {volume} both seem to be {owner}; name their folder"
            )
        if owner is not None:
            found[owner] = volume
    missing = [name for name in names if name not in found]
    if missing:
        raise InputError(
            f"{path}: tells no file (rlnTomoReconstructedTomogram) of {some_of(missing)}, and none named so "
            "lies beside it; name the folder of the volumes instead"
        )
    return {name: found[name] for name in names}
