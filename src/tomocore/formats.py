"""Volumes in and out: MRC (also gzipped), OME-Zarr and TIFF; the only place where Å meets nm for volumes.

Headers lie often in this field, so every reader first collects what it read and what looks wrong with
it (`inspect_volume`), and `read_volume` refuses a voxel size that cannot be believed unless the user
gives one.
"""

from __future__ import annotations

import gzip
import logging
import os
import shutil
import warnings
import xml.etree.ElementTree as ElementTree
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import tifffile
import zarr

from tomocore.console import InputError
from tomocore.volume import Volume

log = logging.getLogger(__name__)

ANGSTROM_PER_NM = 10.0
NM_PER_UNIT = {
    "angstrom": 0.1,
    "å": 0.1,
    "nanometer": 1.0,
    "nm": 1.0,
    "micrometer": 1e3,
    "um": 1e3,
    "µm": 1e3,
    "micron": 1e3,
    "millimeter": 1e6,
    "mm": 1e6,
    "meter": 1e9,
}
BELIEVABLE_NM = (0.08, 20.0)
"""Voxel edges outside this range are a factor of 10 or 1000 wrong in every header seen."""
SAME_EDGE_TOLERANCE = 0.02
MRC_ENDINGS = (".mrc", ".rec", ".map", ".st", ".ali", ".mrcs")
TIFF_ENDINGS = (".tif", ".tiff")
READABLE = "MRC (.mrc, .rec, .map, also .gz), OME-Zarr (.zarr) and TIFF (.tif)"
IMOD_STAMP = 1146047817
UNSTAMPED = "lacks the MAP stamp of an MRC file"

Opener = Callable[[], Any]


@dataclass(frozen=True)
class VolumeHeader:
    """What a volume file says of itself, and what looks wrong with it.

    ``shape`` is z, y, x; ``voxel_size_nm`` is per axis x, y, z as read; ``origin_nm`` x, y, z.
    ``problems`` are notes; ``size_problem`` says why the voxel size cannot be believed, or is "".
    """

    path: Path
    kind: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    voxel_size_nm: tuple[float, float, float]
    origin_nm: tuple[float, float, float]
    problems: tuple[str, ...]
    size_problem: str

    @property
    def nbytes(self) -> int:
        """Bytes of the voxels in memory."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize


def inspect_volume(path: Path) -> VolumeHeader:
    """The header of a volume file, without its voxels. Raises InputError where it is no volume."""
    return _open(Path(path))[0]


def read_volume(path: Path, voxel_size_nm: float | None = None, lazy: bool = False) -> Volume:
    """The volume in an MRC, OME-Zarr or TIFF file, in native byte order.

    ``voxel_size_nm`` overrides the header. ``lazy`` leaves the voxels on disk where the format
    allows it (memory map, Zarr array). Raises InputError where the file is missing, truncated, of
    another kind, too big for memory, or has a voxel size that cannot be believed.
    """
    header, load = _open(Path(path))
    edge_nm = _believed_voxel_size_nm(header, voxel_size_nm)
    for problem in header.problems:
        log.warning("%s: %s", header.path, problem)
    lazily_readable = lazy and header.kind in ("MRC", "OME-Zarr")
    if not lazily_readable:
        _require_memory(header)
    data = load()
    if not lazily_readable:
        data = np.ascontiguousarray(data, dtype=data.dtype.newbyteorder("="))
    return Volume(data, edge_nm, header.origin_nm)


def write_volume(path: Path, volume: Volume) -> None:
    """Write MRC, OME-Zarr or TIFF by the name's ending, beside its name and renamed.

    Booleans become int8, wide integers the narrowest of int16 and uint16 that holds them, and
    float64 becomes float32. Raises InputError for labels beyond 65535 and for unknown endings.
    """
    path = Path(path)
    data = storable(np.asarray(volume.data), path)
    writers = {".mrc": _write_mrc, ".gz": _write_mrc_gz, ".zarr": _write_zarr} | dict.fromkeys(
        TIFF_ENDINGS, _write_tiff
    )
    writer = writers.get(path.suffix.lower())
    if writer is None:
        raise InputError(f"{path}: volumes are written as .mrc, .mrc.gz, .zarr or .tif; choose one of these")
    with written_beside(path) as beside:
        writer(beside, volume.with_data(data))


@contextmanager
def written_beside(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` that is renamed onto it on success and removed on failure."""
    beside = path.with_name(f".{os.getpid()}-{path.name}")
    try:
        yield beside
        if beside.is_dir() and path.is_dir():
            shutil.rmtree(path)
        os.replace(beside, path)
    finally:
        if beside.is_dir():
            shutil.rmtree(beside)
        else:
            beside.unlink(missing_ok=True)


def storable(data: np.ndarray[Any, Any], path: Path) -> np.ndarray[Any, Any]:
    """The voxels in a type that an MRC file holds (int8, int16, uint16, float32)."""
    if data.dtype == bool:
        return data.astype(np.int8)
    if data.dtype.kind in "iu" and data.dtype not in (np.int8, np.int16, np.uint16):
        low, high = (int(data.min()), int(data.max())) if data.size else (0, 0)
        for kind in (np.int16, np.uint16):
            if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
                return data.astype(kind)
        raise InputError(f"{path}: labels from {low} to {high} do not fit 16 bits; renumber them")
    return data.astype(np.float32) if data.dtype.kind == "f" else data


def volume_stem(path: Path) -> str:
    """The name of a volume file without its folder and endings (``.mrc``, ``.mrc.gz``, ``.ome.zarr`` ...)."""
    name = path.name
    for ending in (".gz", ".zarr", ".ome", *MRC_ENDINGS, *TIFF_ENDINGS):
        if name.lower().endswith(ending):
            name = name[: -len(ending)]
    return name


def volume_files(paths: Sequence[Path], what: str = "") -> list[Path]:
    """The volume files among ``paths``, each folder replaced by its ``<stem>__<what>`` volumes.

    ``what`` = "" means tomograms: volumes without ``__`` in their stem. Files named outright are
    kept whatever they are called. Raises InputError for a folder without any such volume.
    """
    files: list[Path] = []
    for path in paths:
        if not path.is_dir() or path.suffix.lower() == ".zarr":
            files.append(path)
            continue
        inside = [file for file in sorted(path.iterdir()) if _is_volume_name(file) and _is_what(file, what)]
        if not inside:
            wanted = f"<name>__{what}.mrc files" if what else f"tomograms: {READABLE}"
            raise InputError(f"{path}: this folder holds no {wanted}; name the files themselves")
        files += inside
    return files


def _is_volume_name(path: Path) -> bool:
    bare = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    return not path.name.startswith(".") and bare.suffix.lower() in (*MRC_ENDINGS, *TIFF_ENDINGS, ".zarr")


def _is_what(path: Path, what: str) -> bool:
    stem = volume_stem(path)
    return stem.endswith(f"__{what}") if what else "__" not in stem


def available_memory_bytes() -> int:
    """Bytes of memory that can be had now, or a generous guess where the system does not say."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, AttributeError):
        return 8 * 2**30


def _open(path: Path) -> tuple[VolumeHeader, Opener]:
    if not path.exists():
        raise InputError(f"{path}: no such file; check the path")
    bare = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    ending = bare.suffix.lower()
    if path.is_dir() or ending == ".zarr":
        return _open_zarr(path)
    if path.stat().st_size == 0:
        raise InputError(f"{path}: the file is empty; write or copy it again")
    if ending in TIFF_ENDINGS:
        return _open_tiff(path)
    if ending in MRC_ENDINGS:
        return _open_mrc(path)
    raise InputError(f"{path}: not a volume file by its name; {READABLE} can be read")


def _header(
    path: Path,
    kind: str,
    array: Any,
    size_nm: tuple[float, ...],
    origin_nm: tuple[float, ...],
    notes: list[str],
    why: str,
) -> VolumeHeader:
    if len(array.shape) != 3:
        raise InputError(
            f"{path}: holds an array of shape {tuple(array.shape)}, not a volume with three axes (z, y, x); "
            "give one volume a file"
        )
    if 0 in array.shape:
        raise InputError(f"{path}: holds no voxels (shape {tuple(array.shape)}); write or copy it again")
    x, y, z = size_nm
    ox, oy, oz = origin_nm
    problem = _size_problem((x, y, z)) or ""
    if problem and why:
        problem += f", {why}"
    return VolumeHeader(
        path, kind, tuple(array.shape), np.dtype(array.dtype), (x, y, z), (ox, oy, oz), tuple(notes), problem
    )


def _size_problem(size_nm: tuple[float, float, float]) -> str | None:
    angstrom = " × ".join(f"{edge * ANGSTROM_PER_NM:.6g}" for edge in size_nm)
    read = f"the header's voxel size reads {angstrom} Å (x, y, z)"
    low, high = min(size_nm), max(size_nm)
    if not np.isfinite(size_nm).all() or low <= 0:
        return f"{read}: it was never set"
    if high > low * (1 + SAME_EDGE_TOLERANCE):
        return f"{read}: the axes disagree by a factor of {high / low:.3g}"
    if abs(low * ANGSTROM_PER_NM - 1.0) < 1e-4:
        return f"{read}: exactly 1 Å is what programs write that do not know it"
    if not BELIEVABLE_NM[0] <= low <= BELIEVABLE_NM[1]:
        return f"{read}: no tomogram has such voxels, a unit is wrong"
    return None


def _believed_voxel_size_nm(header: VolumeHeader, override_nm: float | None) -> float:
    if override_nm is not None:
        if not (np.isfinite(override_nm) and override_nm > 0):
            raise InputError(
                f"{header.path}: --voxel-size must be a positive number of nm; got {override_nm}"
            )
        return float(override_nm)
    if header.size_problem:
        raise InputError(f"{header.path}: {header.size_problem}; give the true edge in nm with --voxel-size")
    return float(np.mean(header.voxel_size_nm))


def _require_memory(header: VolumeHeader) -> None:
    available = available_memory_bytes()
    if header.nbytes > available:
        raise InputError(
            f"{header.path}: its voxels need {header.nbytes / 2**30:.1f} GiB and "
            f"{available / 2**30:.1f} GiB are free; crop or bin it, or use a machine with more memory"
        )


def _open_mrc(path: Path) -> tuple[VolumeHeader, Opener]:
    zipped = path.suffix.lower() == ".gz"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what matters of them is said by _mrc_notes, in our words
        try:
            with mrcfile.open(path, permissive=True, header_only=True) as file:
                head = file.header.copy()
        except (ValueError, OSError, EOFError, zlib.error) as error:
            raise InputError(f"{path}: not an MRC file ({error}); check what wrote it") from error
    other_order = head.view(head.dtype.newbyteorder())
    if not _is_plausible(head) and _is_plausible(other_order):
        head = other_order  # mode 0 reads the same either way, so only the lengths tell
    shape = (int(head.nz), int(head.ny), int(head.nx))
    dtype = _mrc_dtype(path, head, shape)
    offset = 1024 + int(head.nsymbt)
    if not zipped:
        _require_length(
            path, path.stat().st_size, offset + int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        )

    def load() -> np.ndarray[Any, Any]:
        if zipped:
            return _gunzipped(path, offset, dtype, shape)
        return np.memmap(path, dtype, "r", offset, shape)

    size_a, origin_a, notes, why = _mrc_geometry(head, shape)
    in_nm = (
        tuple(edge / ANGSTROM_PER_NM for edge in size_a),
        tuple(edge / ANGSTROM_PER_NM for edge in origin_a),
    )
    blank = np.lib.stride_tricks.as_strided(np.zeros(1, dtype), shape, (0, 0, 0))
    return _header(path, "MRC", blank, *in_nm, notes, why), load


def _is_plausible(head: Any) -> bool:
    lengths = [int(head[f"n{axis}"]) for axis in "xyz"]
    return min(lengths) >= 1 and max(lengths) <= 2**20 and int(head.nsymbt) >= 0


def _mrc_dtype(path: Path, head: Any, shape: tuple[int, int, int]) -> np.dtype[Any]:
    mode = int(head.mode)
    if not _is_plausible(head):
        stamp = "" if bytes(head.map)[:3] == b"MAP" else f", and it {UNSTAMPED}"
        raise InputError(
            f"{path}: not an MRC file (its header says {shape} voxels along z, y, x{stamp}); "
            "check what wrote it"
        )
    kinds = {0: np.int8, 1: np.int16, 2: np.float32, 6: np.uint16, 12: np.float16}
    if mode not in kinds:
        raise InputError(
            f"{path}: MRC mode {mode} is not a volume of numbers this program reads (0, 1, 2, 6 and 12 are); "
            "convert it, for example to mode 2"
        )
    if mode == 0 and _imod_unsigned(head):
        return np.dtype(np.uint8)
    return np.dtype(kinds[mode]).newbyteorder(head.mode.dtype.byteorder)


def _imod_unsigned(head: Any) -> bool:
    """Whether IMOD says that mode 0 holds unsigned bytes (its stamp, then bit 0 of its flags unset)."""
    extra = np.frombuffer(bytes(head.extra2), head.mode.dtype)
    stamp_at, flags_at = 10, 11  # bytes 152 and 156 of the header; extra2 starts at 112
    return int(extra[stamp_at]) == IMOD_STAMP and not int(extra[flags_at]) & 1


def _require_length(path: Path, found: int, expected: int) -> None:
    if found < expected:
        raise InputError(
            f"{path}: truncated, its header promises {expected:,} bytes and there are {found:,}; "
            "copy or write it again"
        )


def _gunzipped(
    path: Path, offset: int, dtype: np.dtype[Any], shape: tuple[int, int, int]
) -> np.ndarray[Any, Any]:
    length = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    try:
        with gzip.open(path, "rb") as file:
            file.seek(offset)
            raw = file.read(length)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: cannot be unpacked ({error}); copy or write it again") from error
    _require_length(path, offset + len(raw), offset + length)
    return np.frombuffer(raw, dtype).reshape(shape)


def _mrc_geometry(
    head: Any, shape: tuple[int, int, int]
) -> tuple[tuple[float, ...], tuple[float, ...], list[str], str]:
    """Voxel size and origin in Å (x, y, z), notes on the header, and why its voxel size may be wrong."""
    axes = ("x", "y", "z")
    cell = [float(head.cella[axis]) for axis in axes]
    sampling = [int(head[f"m{axis}"]) for axis in axes]
    starts = [int(head[f"n{axis}start"]) for axis in axes]
    size = tuple(edge / count if count > 0 else 0.0 for edge, count in zip(cell, sampling, strict=True))
    why = [
        f"m{axis} = {count} while n{axis} = {voxels} (cell / n{axis} = {edge / voxels:.6g} Å)"
        for axis, edge, count, voxels in zip(axes, cell, sampling, shape[::-1], strict=True)
        if count != voxels and edge > 0
    ]
    notes = []
    if bytes(head.map)[:3] != b"MAP":
        notes.append(f"{UNSTAMPED}; read as one because the rest of its header makes sense")
    order = (int(head.mapc), int(head.mapr), int(head.maps))
    if order not in ((1, 2, 3), (0, 0, 0)):
        notes.append(f"its header orders the axes {order} instead of (1, 2, 3); read as x, y, z all the same")
    origin = [float(head.origin[axis]) for axis in axes]
    if any(starts) and any(size):
        notes.append(f"its header starts at voxel {tuple(starts)} (nxstart ...); added to the origin")
        origin = [at + start * edge for at, start, edge in zip(origin, starts, size, strict=True)]
    return size, tuple(origin), notes, "because " + ", ".join(why) if why else ""


def _write_mrc(path: Path, volume: Volume) -> None:
    with mrcfile.new(path, overwrite=True) as file:
        _fill_mrc(file, volume)


def _write_mrc_gz(path: Path, volume: Volume) -> None:
    with mrcfile.new(path, compression="gzip", overwrite=True) as file:
        _fill_mrc(file, volume)


def _fill_mrc(file: Any, volume: Volume) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # confidence may hold NaN statistics of nothing
        file.set_data(volume.data)
        file.set_volume()
        stamp_mrc_geometry(file, volume.voxel_size_nm, volume.origin_nm)


def stamp_mrc_geometry(file: Any, voxel_size_nm: float, origin_nm: tuple[float, float, float]) -> None:
    """Write voxel size and origin (nm) into the header of an open mrcfile, in Å."""
    file.voxel_size = voxel_size_nm * ANGSTROM_PER_NM
    for axis, at_nm in zip("xyz", origin_nm, strict=True):
        file.header.origin[axis] = at_nm * ANGSTROM_PER_NM


def _open_zarr(path: Path) -> tuple[VolumeHeader, Opener]:
    try:
        group = zarr.open_group(path, mode="r")
        attributes: dict[str, Any] = dict(group.attrs)
        image = attributes.get("ome", attributes)["multiscales"][0]  # 0.5, else 0.4
        level = image["datasets"][0]
        array = group[level["path"]]
        assert isinstance(array, zarr.Array)
    except Exception as error:  # zarr raises whatever its stores raise
        raise InputError(
            f"{path}: not an OME-Zarr image ({type(error).__name__}: {error}); {READABLE} can be read"
        ) from error
    axes = image["axes"][-3:]
    leading = array.ndim - 3
    if [axis["name"] for axis in axes] != ["z", "y", "x"] or any(n != 1 for n in array.shape[:leading]):
        raise InputError(
            f"{path}: its axes are not one z, y, x volume; give one channel and time point a file"
        )
    unit = [NM_PER_UNIT.get(str(axis.get("unit", "")).lower(), 0.0) for axis in axes]
    scale, shift = _zarr_transforms(level, image)
    size = tuple(s * u for s, u in zip(scale[-3:], unit, strict=True))[::-1]
    origin = tuple(s * u for s, u in zip(shift[-3:], unit, strict=True))[::-1]
    why = "" if all(unit) else "because its axes have no unit of length"
    view = _ZarrVolume(array)
    return _header(path, "OME-Zarr", view, size, origin, [], why), lambda: view if leading else array


def _zarr_transforms(level: dict[str, Any], image: dict[str, Any]) -> tuple[list[float], list[float]]:
    scale, shift = [0.0] * 3, [0.0] * 3
    for transform in level.get("coordinateTransformations", []):
        if transform["type"] == "scale":
            scale = [float(v) for v in transform["scale"][-3:]]
        elif transform["type"] == "translation":
            shift = [float(v) for v in transform["translation"][-3:]]
    for transform in image.get("coordinateTransformations", []):
        if transform["type"] == "scale":
            scale = [a * float(b) for a, b in zip(scale, transform["scale"][-3:], strict=True)]
    return scale, shift


class _ZarrVolume:
    """The last three axes of a Zarr array whose leading axes are single, still lazy."""

    def __init__(self, array: zarr.Array[Any]) -> None:
        self.array = array
        self.shape = array.shape[-3:]
        self.dtype = array.dtype
        self.ndim = 3

    def __getitem__(self, key: Any) -> np.ndarray[Any, Any]:
        inner = key if isinstance(key, tuple) else (key,)
        return np.asarray(self.array[(0,) * (len(self.array.shape) - 3) + inner])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        return np.asarray(self[...], dtype=dtype)


def _write_zarr(path: Path, volume: Volume) -> None:
    group = zarr.open_group(path, mode="w", zarr_format=2)  # OME-Zarr 0.4, which every viewer reads
    chunks = tuple(min(64, n) for n in volume.shape)
    group.create_array("0", data=np.ascontiguousarray(volume.data), chunks=chunks)
    edge = volume.voxel_size_nm
    group.attrs["multiscales"] = [
        {
            "version": "0.4",
            "name": path.stem,
            "axes": [{"name": axis, "type": "space", "unit": "nanometer"} for axis in "zyx"],
            "datasets": [
                {
                    "path": "0",
                    "coordinateTransformations": [
                        {"type": "scale", "scale": [edge] * 3},
                        {"type": "translation", "translation": list(volume.origin_nm[::-1])},
                    ],
                }
            ],
        }
    ]


def _open_tiff(path: Path) -> tuple[VolumeHeader, Opener]:
    try:
        with tifffile.TiffFile(path) as file:
            array = file.asarray()
            size, origin, why = _tiff_geometry(file)
    except InputError:
        raise
    except Exception as error:  # tifffile raises whatever its decoders raise
        raise InputError(f"{path}: cannot be read as TIFF ({error}); copy or write it again") from error
    return _header(path, "TIFF", array, size, origin, [], why), lambda: array


def _tiff_geometry(file: tifffile.TiffFile) -> tuple[tuple[float, ...], tuple[float, ...], str]:
    """Voxel size and origin in nm (x, y, z) from OME-XML or ImageJ metadata."""
    if file.ome_metadata:
        return *_ome_geometry(file.ome_metadata), ""
    meta = file.imagej_metadata or {}
    unit = NM_PER_UNIT.get(str(meta.get("unit", "")).replace("\\u00B5", "µ").lower(), 0.0)
    tags = file.pages[0].tags  # type: ignore[union-attr]
    per_unit = [tags[name].value if name in tags else (0, 1) for name in ("XResolution", "YResolution")]
    x, y = (unit * below / above if above else 0.0 for above, below in per_unit)
    why = "" if unit else "because it has neither OME nor ImageJ metadata with a unit of length"
    return (x, y, unit * float(meta.get("spacing", 0.0))), (0.0, 0.0, 0.0), why


def _ome_geometry(xml: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    pixels = next(e for e in ElementTree.fromstring(xml).iter() if e.tag.endswith("Pixels"))
    plane = next((e for e in pixels.iter() if e.tag.endswith("Plane")), None)

    def length_nm(element: ElementTree.Element | None, name: str) -> float:
        if element is None or name not in element.attrib:
            return 0.0
        unit = element.get(f"{name}Unit", "µm").lower()
        return float(element.get(name, 0)) * NM_PER_UNIT.get(unit, 0.0)

    size = tuple(length_nm(pixels, f"PhysicalSize{axis}") for axis in "XYZ")
    return size, tuple(length_nm(plane, f"Position{axis}") for axis in "XYZ")


def _write_tiff(path: Path, volume: Volume) -> None:
    edge, planes = volume.voxel_size_nm, len(volume.data)
    metadata: dict[str, Any] = {"axes": "ZYX", "Plane": {}}
    for axis, at_nm in zip("XYZ", volume.origin_nm, strict=True):
        metadata |= {f"PhysicalSize{axis}": edge, f"PhysicalSize{axis}Unit": "nm"}
        metadata["Plane"] |= {f"Position{axis}": [at_nm] * planes, f"Position{axis}Unit": ["nm"] * planes}
    tifffile.imwrite(path, volume.data, ome=True, metadata=metadata)
