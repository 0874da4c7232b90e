"""Which file belongs to which tomogram: one rule for every command, window and project.

A tomogram ``<stem>.mrc`` has products ``<stem>__<what>.*``, where ``what`` is one of `PRODUCTS`; the stem
may hold dots and double underscores. Files of other programs belong to the tomogram whose stem their names
begin with.
"""

from __future__ import annotations

import glob
import hashlib
import logging
import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from tomocore.contract import InputError

log = logging.getLogger(__name__)

MRC_ENDINGS = (".mrc", ".rec", ".map", ".st", ".ali", ".preali", ".mrcs")
TIFF_ENDINGS = (".tif", ".tiff")
ZARR_ENDING = ".zarr"
HDF5_ENDINGS = (".h5", ".hdf5", ".hdf")
AMIRA_ENDINGS = (".am",)
PACKED_ENDINGS = (".gz", ".bz2")
TILT_SERIES_ENDINGS = (".st", ".ali", ".preali", ".mrcs")
"""Endings of MRC files that hold tilt series or other stacks of images, and so no tomogram."""
VOLUME_ENDINGS = (*MRC_ENDINGS, *TIFF_ENDINGS, *HDF5_ENDINGS, *AMIRA_ENDINGS, ZARR_ENDING)
READABLE = (
    "MRC (.mrc, .rec, .map, also .gz and .bz2), OME-Zarr (.zarr), TIFF (.tif), HDF5 (.h5) and Amira (.am)"
)

PRODUCTS = (
    "membranes",
    "valid",
    "labels",
    "truth",
    "confidence",
    "uncertainty",
    "rois",
    "rejected",
    "restricted",
    "components",
    "crops",
    "tomograms",
)
_PRODUCT = re.compile(rf"__({'|'.join(PRODUCTS)}|roi\d+)$")
# What programs add to the name of a tilt series: Warp its voxel size in Å, IMOD and AreTomo _rec.
_VOXEL_SIZE = re.compile(r"_\d+(\.\d+)?apx", re.IGNORECASE)
_ADDED = re.compile(r"(_\d+(\.\d+)?apx)?(_(full_)?rec)?$", re.IGNORECASE)
_RUNS_OF_COPICK, _SPACINGS_OF_COPICK, _MASKS_OF_COPICK = "ExperimentRuns", "VoxelSpacing", "Segmentations"
_ZARR_MARKS = (".zattrs", ".zgroup", ".zarray", "zarr.json")
MOST_NAMED = 5
LONGEST_NAME_BYTES = 64
"""Of a typed name within a file's name, which has room for 255 with all that stands about it."""
_SAFE = "-_+=,()#@~. "
_RESERVED = {"CON", "PRN", "AUX", "NUL", *(f"{port}{n}" for port in ("COM", "LPT") for n in range(10))}


def volume_stem(path: Path) -> str:
    """The name of a file without its folder and endings (``.mrc``, ``.mrc.gz``, ``.ome.zarr``, ``.npz``).

    What lies within a file or an image is named after both: ``a_er`` is ``a.h5/er``, or ``a.zarr/labels/er``.
    In a project of copick, where all tomograms are called alike, they are named after their run: ``run`` and
    ``run_membrane``, a segmentation.
    """
    in_copick = _stem_in_copick(path)
    if in_copick:
        return in_copick
    holder = next((p for p in path.parents if p.suffix.lower() in (ZARR_ENDING, *HDF5_ENDINGS)), None)
    if holder is not None:
        within = [part for part in path.relative_to(holder).parts if part != "labels"]
        return "_".join([volume_stem(holder), *within])
    name = path.name
    for ending in (*PACKED_ENDINGS, ZARR_ENDING, ".ome", ".npz", *VOLUME_ENDINGS):
        if name.lower().endswith(ending) and len(name) > len(ending):
            name = name[: -len(ending)]
    return unicodedata.normalize("NFC", name)


def _stem_in_copick(path: Path) -> str:
    """The run of a tomogram in a project of copick, with the object of a segmentation; else empty.

    Tomograms are ``ExperimentRuns/RUN/VoxelSpacing10.000/wbp.zarr``, segmentations
    ``ExperimentRuns/RUN/Segmentations/10.000_USER_SESSION_OBJECT.zarr``.
    """
    parts = path.parts
    if _RUNS_OF_COPICK not in parts[:-3]:
        return ""
    run, folder, file = parts[parts.index(_RUNS_OF_COPICK) + 1 :][:3]
    if folder.startswith(_SPACINGS_OF_COPICK):
        return unicodedata.normalize("NFC", run)
    named = file.removesuffix(ZARR_ENDING).removesuffix("-multilabel").split("_", 3)
    if folder == _MASKS_OF_COPICK and len(named) == 4:
        return unicodedata.normalize("NFC", f"{run}_{named[3]}")
    return ""


def tomogram_stem(path: Path) -> str:
    """``grid1__ts_01`` of ``grid1__ts_01__confidence.mrc``, ``grid1__ts_01__rois.npz`` or of the tomogram."""
    return _PRODUCT.sub("", volume_stem(path))


def product_of(path: Path) -> str:
    """``confidence`` of ``ts_01__confidence.mrc``; empty for a tomogram and for files of other programs."""
    found = _PRODUCT.search(volume_stem(path))
    return found[1] if found else ""


def is_tilt_series_name(path: Path) -> bool:
    """Whether a file is a tilt series, or another stack of images, by its ending."""
    return _unpacked(path).suffix.lower() in TILT_SERIES_ENDINGS


def is_zarr_folder(path: Path) -> bool:
    """Whether a folder holds a Zarr group or array, whatever it is called."""
    return path.is_dir() and (
        path.suffix.lower() == ZARR_ENDING or any((path / mark).exists() for mark in _ZARR_MARKS)
    )


def typed_name(text: str) -> str:
    """A name that somebody typed as it is shown: on one line, without characters that print nothing."""
    printable = (letter if letter.isprintable() else " " for letter in unicodedata.normalize("NFC", text))
    return " ".join("".join(printable).split())


def safe_name(name: str) -> str:
    """A typed name as a part of the names of files and arrays, on any system and in any program.

    Letters and digits of every script stay, and ``-_+=,()#@~.`` and spaces; all else, such as ``/``, ``<``
    and ``&``, becomes ``_``. A long name is cut and ends in its hash. Two names may become one: whoever makes
    files of several asks that they differ.
    """
    kept = "".join(
        letter if unicodedata.category(letter)[0] in "LMN" or letter in _SAFE else "_"
        for letter in typed_name(name)
    ).strip(" .")
    if not kept or kept.partition(".")[0].upper() in _RESERVED:
        kept = f"_{kept}"
    raw = kept.encode()
    if len(raw) <= LONGEST_NAME_BYTES:
        return kept
    mark = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{raw[: LONGEST_NAME_BYTES - 9].decode(errors='ignore').rstrip(' .')}_{mark}"


def tomogram_files(paths: Iterable[Path]) -> list[Path]:
    """The tomograms among ``paths``, of folders those in them, of patterns (``*.rec``) those that fit.

    In a folder, products of tomograms and tilt series are left out, and told. Files named outright are kept
    whatever they are called. Raises InputError for a folder without tomograms.
    """
    files: list[Path] = []
    for path in _expanded(paths):
        if not _is_plain_folder(path):
            if is_tilt_series_name(path):
                log.warning("%s: a tilt series by its ending, not a tomogram", path)
            files.append(path)
            continue
        volumes = _volumes_in(path)
        stacks = [file for file in volumes if is_tilt_series_name(file)]
        products = [file for file in volumes if product_of(file) and file not in stacks]
        if stacks:
            log.warning("%s: left out, tilt series by their endings: %s", path, _some(stacks))
        if products:
            log.info("%s: left out, no tomograms by their names: %s", path, _some(products))
        inside = [file for file in volumes if file not in stacks and file not in products]
        if not inside:
            raise InputError(f"{path}: this folder holds no tomograms: {READABLE}; name the files themselves")
        files += inside
    return _each_once(files)


def product_files(paths: Iterable[Path], *whats: str, of_others: bool = False) -> list[Path]:
    """The files among ``paths``; of each folder, those of the first kind in ``whats`` that it has.

    A kind is a product ("membranes": any volume of it) or the end of a name ("rois.npz"). With ``of_others``
    a folder without any of them gives its volumes that are no product at all, as other programs name them;
    where it has both, those of other tomograms are told. Raises InputError for a folder that holds none.
    """
    files: list[Path] = []
    for path in _expanded(paths):
        files += _products_in(path, whats, of_others) if _is_plain_folder(path) else [path]
    return _each_once(files)


def matched(tomograms: Sequence[Path], others: Sequence[Path], what: str) -> dict[Path, Path]:
    """Which of the other files belongs to which tomogram (or product of one), by their names.

    First by the same stem, then by the same stem without what Warp and IMOD add to it (``_10.00Apx``,
    ``_rec``), then by a name that begins with the tomogram's stem, the longest winning; last by a stem that
    the tomogram's own name begins with, as of ROIs (``ts_1__rois``) for a mask (``ts_1_OMM``): these may be
    of several, which is told. Where no name fits any tomogram, files are paired by order, with a warning.
    Files that no tomogram claims are told. Raises InputError where two claim one tomogram, or where neither
    names nor numbers fit.
    """
    pairs: dict[Path, Path] = {}
    rest = list(others)
    for owners in _RULES:
        claims = list(zip(owners(rest, [t for t in tomograms if t not in pairs]), rest, strict=True))
        _require_single_claims(claims, what)
        pairs |= {owner: other for owner, other in claims if owner is not None}
        rest = [other for owner, other in claims if owner is None]
    longer = _of_longer_names([t for t in tomograms if t not in pairs], rest, what)
    pairs |= longer
    rest = [other for other in rest if other not in longer.values()]
    if pairs or not others or not tomograms:
        if rest and tomograms:
            log.warning("%s files of none of the tomograms, not used: %s", what, _some(rest))
        return pairs
    if len(others) != len(tomograms):
        raise InputError(
            f"{len(others)} {what} files for {len(tomograms)} tomograms, and no name tells which belongs to "
            f"which ({others[0].name}, {tomograms[0].name}); name them after the tomograms, or give one each"
        )
    told = ", ".join(f"{a.name} with {b.name}" for a, b in zip(tomograms, others, strict=True))
    log.warning("%s files are matched by their order, since no name fits: %s", what, told)
    return dict(zip(tomograms, others, strict=True))


def owner_of(name: str, tomograms: Sequence[str]) -> str | None:
    """The tomogram that something called ``name`` belongs to, by the rules of `matched`; many may to one."""
    by_path = {Path(tomogram): tomogram for tomogram in tomograms}
    for owners in _RULES:
        (owner,) = owners([Path(name)], list(by_path))
        if owner is not None:
            return by_path[owner]
    return None


def require_match(tomograms: Sequence[Path], pairs: dict[Path, Path], what: str) -> None:
    """InputError that names the tomograms without a file."""
    bare = [path for path in tomograms if path not in pairs]
    if bare:
        raise InputError(
            f"no {what} file of {_some(bare)}; give one named after each tomogram, or leave these out"
        )


def require_own_names(paths: Sequence[Path], name_of: Callable[[Path], str] = tomogram_stem) -> None:
    """InputError where two inputs would be written under one name (upper and lower case count as one)."""
    by_name: dict[str, list[Path]] = defaultdict(list)
    for path in paths:
        by_name[name_of(path).casefold()].append(path)
    for same in by_name.values():
        if len(same) > 1:
            told = " and ".join(str(path) for path in same[:3])
            raise InputError(
                f"{told} would be written under one name, {name_of(same[0])}; rename one, "
                "or run them one after the other into folders of their own"
            )


def _expanded(paths: Iterable[Path]) -> list[Path]:
    """The paths, patterns replaced by what they fit: not every shell does that."""
    found: list[Path] = []
    for path in paths:
        if path.exists() or not glob.has_magic(str(path)):
            found.append(path)
            continue
        fitting = sorted(Path(name) for name in glob.glob(str(path)))
        if not fitting:
            raise InputError(f"{path}: no file fits this pattern; check it")
        found += fitting
    return found


def _each_once(files: Sequence[Path]) -> list[Path]:
    seen: dict[str, Path] = {}
    for path in files:
        seen.setdefault(os.path.realpath(path), path)  # Path.resolve raises for links in a loop
    return list(seen.values())


def _is_plain_folder(path: Path) -> bool:
    return path.is_dir() and not is_zarr_folder(path)


def _volumes_in(folder: Path) -> list[Path]:
    """What a folder holds of volumes, by name; hidden files are none."""
    named = [path for path in sorted(folder.iterdir()) if not path.name.startswith(".")]
    return [path for path in named if is_volume_name(path) or is_zarr_folder(path)]


def is_volume_name(path: Path) -> bool:
    """Whether a file is a volume by its ending."""
    return _unpacked(path).suffix.lower() in VOLUME_ENDINGS


def _unpacked(path: Path) -> Path:
    return path.with_suffix("") if path.suffix.lower() in PACKED_ENDINGS else path


def _products_in(folder: Path, whats: Sequence[str], of_others: bool) -> list[Path]:
    volumes = _volumes_in(folder)
    plain = [path for path in volumes if not product_of(path) and not is_tilt_series_name(path)]
    for what in whats:
        if "." in what:
            inside = sorted(p for p in folder.glob(f"*__{what}") if not p.name.startswith("."))
        else:
            inside = [path for path in volumes if product_of(path) == what]
        if inside:
            if of_others:
                _tell_left_out(folder, what, plain, inside)
            return inside
    if of_others and plain:
        return plain
    wanted = " or ".join(f"<name>__{what}" + ("" if "." in what else ".mrc") for what in whats)
    raise InputError(f"{folder}: this folder holds no {wanted} files; name the files themselves")


def _tell_left_out(folder: Path, what: str, plain: Sequence[Path], taken: Sequence[Path]) -> None:
    """A note of volumes that are not called as those that were taken, unless they are their tomograms."""
    owners = _stems_of(taken)
    others = [path for path in plain if _bare_stem(path) not in set().union(*owners.values())]
    if others:
        log.info("%s: left out, not called <name>__%s as others are: %s", folder, what, _some(others))


def _by_stem(others: Sequence[Path], tomograms: Sequence[Path]) -> list[Path | None]:
    """The tomogram of the same stem as each other file."""
    known: dict[str, Path] = {}
    for tomogram in tomograms:
        known.setdefault(tomogram_stem(tomogram), tomogram)
    return [known.get(tomogram_stem(other)) for other in others]


def _by_bare_stem(others: Sequence[Path], tomograms: Sequence[Path]) -> list[Path | None]:
    """The only tomogram of the same stem as each, without what programs add to it."""
    known: dict[str, list[Path]] = defaultdict(list)
    for tomogram in tomograms:
        known[_bare_stem(tomogram)].append(tomogram)
    fitting = [known.get(_bare_stem(other), []) for other in others]
    return [found[0] if len(found) == 1 else None for found in fitting]


def _bare_stem(path: Path) -> str:
    return _ADDED.sub("", tomogram_stem(path))


def _by_beginning(others: Sequence[Path], tomograms: Sequence[Path]) -> list[Path | None]:
    """The tomogram whose stem each name begins with, the longest.

    A number behind it (``ts_1_2`` of ``ts_1``) means another tomogram.
    """
    stems = _stems_of(tomograms)
    # The stem of a product is known, and it is none of these.
    return [None if product_of(other) else _begun_by(volume_stem(other), stems) for other in others]


def _of_longer_names(tomograms: Sequence[Path], others: Sequence[Path], what: str) -> dict[Path, Path]:
    """The file whose stem each tomogram's name begins with, the longest; one that several take is told."""
    stems = _stems_of(others)
    found = {tomogram: _begun_by(tomogram_stem(tomogram), stems) for tomogram in tomograms}
    pairs = {tomogram: other for tomogram, other in found.items() if other is not None}
    for other in dict.fromkeys(pairs.values()):
        own = [tomogram for tomogram, one in pairs.items() if one == other]
        if len(own) > 1:
            log.warning("%s: taken as the %s file of %s, since their names begin so", other, what, _some(own))
    return pairs


def _stems_of(paths: Sequence[Path]) -> dict[Path, set[str]]:
    """The stems that other names may begin with, of each path."""
    return {path: {tomogram_stem(path), _bare_stem(path)} - {""} for path in paths}


def _begun_by(name: str, stems: dict[Path, set[str]]) -> Path | None:
    """The only path of the longest stem that a name begins with."""

    def fits(stem: str) -> bool:
        rest = _VOXEL_SIZE.sub("", name.removeprefix(stem), count=1)
        return not re.match(r"[^\W_]|[_.\-]\d+([_.\-]|$)", rest)

    lengths = {
        path: max((len(stem) for stem in own if name.startswith(stem) and fits(stem)), default=0)
        for path, own in stems.items()
    }
    longest = max(lengths.values(), default=0)
    fitting = [path for path, length in lengths.items() if longest and length == longest]
    return fitting[0] if len(fitting) == 1 else None


_RULES = (_by_stem, _by_bare_stem, _by_beginning)


def _require_single_claims(claims: Sequence[tuple[Path | None, Path]], what: str) -> None:
    claimed: dict[Path, Path] = {}
    for owner, other in claims:
        if owner is None:
            continue
        if owner in claimed:
            raise InputError(
                f"{claimed[owner]} and {other} both seem to be the {what} file of {owner.name}; give one"
            )
        claimed[owner] = other


def _some(paths: Sequence[Path]) -> str:
    """The names of a few files, and how many more there are."""
    told = ", ".join(path.name for path in paths[:MOST_NAMED])
    return told + (f" and {len(paths) - MOST_NAMED} more" if len(paths) > MOST_NAMED else "")
