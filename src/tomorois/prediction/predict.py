"""Confidence maps: a trained network on a whole tomogram, within a given memory and without seams.

A tomogram is binned to the voxel size the network was trained at, normalised as in training, and run
as a whole where memory allows. Otherwise it is run in tiles that overlap by the network's receptive
field (the sum of its dilations; along z half a slab, if it has slabs), so that every voxel sees what it
would see in one piece.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
from numpy.typing import NDArray

from tomocore.contract import InputError, Progress, no_progress
from tomocore.files import written_beside
from tomocore.machine import available_memory_bytes
from tomocore.volumes.formats import write_volume
from tomocore.volumes.mrc import stamp_mrc_geometry
from tomocore.volumes.omezarr import new_zarr
from tomocore.volumes.volume import Volume
from tomorois.network.binning import unbin_planes
from tomorois.network.checkpoint import ModelRecord
from tomorois.network.gaps import binned_without_gaps
from tomorois.network.intensity import intensity_skewness, looks_inverted, normalise_intensity
from tomorois.network.membrane_input import input_channels, membrane_channels
from tomorois.network.msdnet.cpu import buffer_bytes
from tomorois.network.msdnet.module import MSDNet, infer
from tomorois.prediction.settings import PredictSettings

log = logging.getLogger(__name__)

Floats = NDArray[np.float32]
Shape = tuple[int, int, int]
Box = tuple[slice, slice, slice]

GIB = 2**30
SAME_SIZE = 0.05  # voxel sizes closer than this count as equal
COARSEST = 2.0  # tomogram voxels may be at most this many network voxels wide
FINEST = 4.0  # and at most this many times finer than the training tomograms
SHARE_OF_FREE_MEMORY = 0.8
PLANES_A_SLAB = 8
LIBRARY_BYTES = 2**26  # that readers and writers keep for themselves
MOST_TILES = 32  # along an axis
MIRRORINGS = ((), (1, 2), (1,), (2,), (0,), (0, 1, 2), (0, 1), (0, 2))
"""Axes z, y, x that are mirrored; the first two are a turn about z. None turns the missing wedge."""


@dataclass(frozen=True)
class Prediction:
    """Confidence 0–1 on the network's grid, its standard deviation over orientations, and how it maps back.

    ``ratio`` is the network's voxel edge in tomogram voxels; ``uncertainty`` is None for one orientation.
    """

    confidence: Floats
    uncertainty: Floats | None
    ratio: float


@dataclass(frozen=True)
class PredictionInput:
    """What a map is made from: a network with its record, a tomogram, and its membranes if it sees such.

    ``record`` is that of `checkpoint.load_model`; ``volume`` [z, y, x] may be left on disk; ``membranes`` are
    a mask, labels or a map from 0 to 1 on the same grid; ``settings`` are memory, polarity and averaging.
    """

    model: MSDNet
    record: ModelRecord
    volume: Volume
    membranes: Volume | None = None
    settings: PredictSettings = field(default_factory=PredictSettings)


def predict_confidence(
    model: MSDNet,
    record: ModelRecord,
    volume: Volume,
    settings: PredictSettings | None = None,
    progress: Progress = no_progress,
    membranes: Volume | None = None,
) -> Volume:
    """Confidence 0–1 that each voxel lies in an ROI: float32 on the tomogram's own grid.

    ``model``, ``record``, ``volume``, ``membranes`` and ``settings`` (None: the defaults) are those of
    `PredictionInput`; ``progress`` is called with layers and tiles done. Voxels that were never measured are
    filled, and told. Raises InputError for a tomogram without values, or a voxel size the network cannot use.
    """
    asked = PredictionInput(model, record, volume, membranes, settings or PredictSettings())
    prediction = predict_on_network_grid(asked, progress)
    return volume.with_data(_on_full_grid(prediction.confidence, prediction.ratio, volume.shape))


def predict_with_uncertainty(
    asked: PredictionInput, progress: Progress = no_progress
) -> tuple[Volume, Volume]:
    """Confidence as `predict_confidence`, and its standard deviation over at least two orientations.

    Both are float32 on the tomogram's grid. Raises InputError for fewer than two orientations, too.
    """
    require_orientations(asked.settings)
    found, volume = predict_on_network_grid(asked, progress), asked.volume
    assert found.uncertainty is not None
    confidence, uncertainty = (
        volume.with_data(_on_full_grid(data, found.ratio, volume.shape))
        for data in (found.confidence, found.uncertainty)
    )
    return confidence, uncertainty


def predict_to_file(
    asked: PredictionInput,
    path: Path,
    progress: Progress = no_progress,
    uncertainty_path: Path | None = None,
) -> None:
    """Write the confidence of `predict_confidence` to a volume file; an .mrc or .zarr file slab by slab.

    The full-size map is never in memory: with a tomogram left on disk what counts is the binned network.
    ``path`` is replaced where it exists, once the map is whole. ``uncertainty_path`` takes the standard
    deviation over orientations, of which at least two are needed; None: it is not written.
    """
    if uncertainty_path is not None:
        require_orientations(asked.settings)
    prediction = predict_on_network_grid(asked, progress)
    if uncertainty_path is not None and prediction.uncertainty is not None:
        _write_map(uncertainty_path, asked.volume, prediction.uncertainty, prediction.ratio)
    _write_map(path, asked.volume, prediction.confidence, prediction.ratio)


def predict_on_network_grid(asked: PredictionInput, progress: Progress = no_progress) -> Prediction:
    """The confidence where the network computes it, before interpolation to the tomogram's grid.

    Warns of a tomogram that looks inverted to what the network learned from, and of a map that nowhere
    reaches the model's threshold. Raises InputError as `predict_confidence` does, and where not even the
    smallest tile fits the memory.
    """
    record, settings = asked.record, asked.settings
    ratio = network_ratio(record, asked.volume.voxel_size_nm)
    _require_membranes(asked.model, asked.volume, asked.membranes)
    image = _network_input(asked, ratio)
    boxes = _planned_tiles(asked.model, image, asked.volume, ratio, settings)
    confidence, uncertainty = _averaged(asked.model, image, boxes, settings.orientations, progress)
    _warn_of_polarity(image[0], record)
    _warn_if_empty(confidence, image[0], record)
    return Prediction(confidence, uncertainty, ratio)


def prediction_memory_bytes(
    model: MSDNet, shape: Shape, ratio: float = 1.0, tile: Shape | None = None, orientations: int = 4
) -> int:
    """Memory that a prediction takes: input, output and all channels of the largest tile.

    ``shape`` is the tomogram's (z, y, x), ``ratio`` from `network_ratio`; ``tile`` in network voxels.
    """
    small = network_shape(shape, ratio)
    copies = model.config.input_channels * (2 if orientations > 1 else 1) + (3 if orientations > 1 else 1)
    tile_bytes = _tile_bytes(tile or small, model.config.channels)
    slab = 4 * PLANES_A_SLAB * shape[1] * shape[2] * 4
    return 4 * copies * int(np.prod(small)) + tile_bytes + slab + LIBRARY_BYTES


def network_ratio(record: ModelRecord, voxel_size_nm: float) -> float:
    """The network's voxel edge in tomogram voxels: a whole number where block means will do.

    Warns where the tomogram must be rescaled by interpolation. Raises InputError where its voxel size is
    so far from the training tomograms' that the network cannot mean anything.
    """
    ratio = record.voxel_size_nm / voxel_size_nm
    trained = record.voxel_size_nm / record.bin_factor
    told = f"the tomogram has {voxel_size_nm:.4g} nm a voxel, the network was trained at {trained:.4g} nm"
    told += f" binned to {record.voxel_size_nm:.4g} nm" if record.bin_factor > 1 else ""
    if ratio < 1 / COARSEST or ratio > FINEST * record.bin_factor:
        raise InputError(
            f"{told}: too far apart; give the true edge with --voxel-size, or train on such data"
        )
    whole = max(1, round(ratio))
    if abs(whole / ratio - 1) <= SAME_SIZE:
        if whole != record.bin_factor:
            log.warning("%s; it is binned by %d", told, whole)
        return float(whole)
    log.warning("%s; it is rescaled by interpolation, which costs accuracy", told)
    return ratio


def network_shape(shape: Shape, ratio: float) -> Shape:
    """Network voxels along z, y, x that cover a tomogram."""
    z, y, x = (max(1, int(np.ceil(n / ratio - 1e-6))) for n in shape)
    return z, y, x


def tile_boxes(shape: Shape, channels: int, halo: int | Shape, budget_bytes: int) -> list[tuple[Box, Box]]:
    """Tiles (core, core with halo) that cover a volume with least work, each fitting a memory budget.

    ``halo`` is one for all axes, or by axis (z, y, x). Halos end at the volume's edge, so the padding there
    is that of the whole. Raises InputError where even the smallest tile does not fit.
    """
    halos = (halo, halo, halo) if isinstance(halo, int) else halo
    best: tuple[int, tuple[int, ...]] | None = None
    for counts in product(*(_useful_counts(n) for n in shape)):
        padded = [min(n, -(-n // c) + 2 * h) for n, c, h in zip(shape, counts, halos, strict=True)]
        work = math.prod(counts) * math.prod(padded)
        if best is not None and work >= best[0]:
            continue
        if _tile_bytes((padded[0], padded[1], padded[2]), channels) <= budget_bytes:
            best = work, counts
    if best is None:
        need = _tile_bytes((2 * halos[0] + 1, 2 * halos[1] + 1, 2 * halos[2] + 1), channels) / GIB
        raise InputError(
            f"a tile with its halo of {max(halos)} voxels takes {need:.1f} GiB, "
            f"{max(0, budget_bytes) / GIB:.1f} are left of max_memory_gib; allow more, or set "
            "a smaller halo_voxels in [predict]"
        )
    return list(_boxes(shape, best[1], halos))


def _tile_bytes(tile: Shape, channels: int) -> int:
    """Memory of a tile: all its channels, its logits and their way into the map."""
    return buffer_bytes(tile, channels) + 8 * math.prod(tile)


def _useful_counts(size: int) -> list[int]:
    """Numbers of tiles along an axis that give different tile sizes."""
    return sorted({-(-size // core) for core in range(1, size + 1)})[:MOST_TILES]


def _boxes(shape: Shape, counts: tuple[int, ...], halos: Shape) -> Iterator[tuple[Box, Box]]:
    cores = [-(-n // count) for n, count in zip(shape, counts, strict=True)]
    starts = product(*(range(0, n, core) for n, core in zip(shape, cores, strict=True)))
    for start in starts:
        ends = [min(a + core, n) for a, core, n in zip(start, cores, shape, strict=True)]
        core_box = tuple(slice(a, b) for a, b in zip(start, ends, strict=True))
        wide = tuple(
            slice(max(0, a - halo), min(n, b + halo))
            for a, b, n, halo in zip(start, ends, shape, halos, strict=True)
        )
        yield (core_box[0], core_box[1], core_box[2]), (wide[0], wide[1], wide[2])


def _network_input(asked: PredictionInput, ratio: float) -> Floats:
    """Channels (c, z, y, x) on the network's grid: the tomogram normalised, membranes and their distance."""
    trained, volume, settings = asked.record.intensity, asked.volume, asked.settings
    polarity = trained.polarity if settings.polarity == "as trained" else settings.polarity
    grey, missing = _on_network_grid(volume, ratio)
    tomogram = normalise_intensity(grey, trained.model_copy(update={"polarity": polarity}), missing=missing)
    if asked.membranes is None:
        return tomogram[None]
    factor = max(1, round(ratio))
    beside = membrane_channels(asked.membranes, factor, asked.record.membranes)
    return np.stack([tomogram, *(_rescaled(channel, factor, volume.shape, ratio) for channel in beside)])


def _on_network_grid(volume: Volume, ratio: float) -> tuple[Floats, NDArray[np.bool_] | None]:
    """Grey values without gaps, and where these were (None where none)."""
    factor = max(1, round(ratio))
    binned, missing = binned_without_gaps(volume.data, factor)
    grey = _rescaled(binned, factor, volume.shape, ratio)
    if missing is None or ratio == factor:
        return grey, missing
    return grey, _rescaled(missing.astype(np.float32), factor, volume.shape, ratio) > 0


def _rescaled(binned: Floats, factor: int, shape: Shape, ratio: float) -> Floats:
    """A volume of ``shape``, binned by a factor, on the network's grid."""
    if ratio == factor:
        return binned
    small = network_shape(shape, ratio)
    return unbin_planes(binned, factor / ratio, small, 0, small[0])


def _on_full_grid(data: Floats, ratio: float, shape: Shape) -> Floats:
    return data if ratio == 1 else unbin_planes(data, ratio, shape, 0, shape[0])


def _slabs(data: Floats, ratio: float, shape: Shape) -> Iterator[tuple[slice, Floats]]:
    for start in range(0, shape[0], PLANES_A_SLAB):
        stop = min(start + PLANES_A_SLAB, shape[0])
        yield (
            slice(start, stop),
            data[start:stop] if ratio == 1 else unbin_planes(data, ratio, shape, start, stop),
        )


def _planned_tiles(
    model: MSDNet, image: Floats, volume: Volume, ratio: float, settings: PredictSettings
) -> list[tuple[Box, Box]]:
    shape = image.shape[1], image.shape[2], image.shape[3]
    exact = model.config.halo_zyx
    most_halo = max(exact) if settings.halo_voxels is None else settings.halo_voxels
    halos = min(exact[0], most_halo), min(exact[1], most_halo), min(exact[2], most_halo)
    free = int(SHARE_OF_FREE_MEMORY * available_memory_bytes()) + image.nbytes
    most = min(int(settings.max_memory_gib * GIB), free)
    fixed = prediction_memory_bytes(model, volume.shape, ratio, (1, 1, 1), settings.orientations)
    boxes = tile_boxes(shape, model.config.channels, halos, int((most - fixed) * 0.95))
    largest = max((_box_shape(wide) for _, wide in boxes), key=lambda tile: int(np.prod(tile)))
    need = prediction_memory_bytes(model, volume.shape, ratio, largest, settings.orientations)
    tiles = "one piece" if len(boxes) == 1 else f"{len(boxes)} tiles"
    log.info("about %.1f GiB of memory for %d × %d × %d network voxels in %s", need / GIB, *shape, tiles)
    if len(boxes) > 1 and halos != exact:
        log.warning("tiles overlap by %d voxels, the network sees %d: seams may show", most_halo, max(exact))
    return boxes


def _box_shape(box: Box) -> Shape:
    return box[0].stop - box[0].start, box[1].stop - box[1].start, box[2].stop - box[2].start


def _averaged(
    model: MSDNet, image: Floats, boxes: list[tuple[Box, Box]], orientations: int, progress: Progress
) -> tuple[Floats, Floats | None]:
    """Mean confidence over orientations, and its standard deviation (None for one)."""
    total = orientations * len(boxes) * model.config.layers
    mean = np.zeros(image.shape[1:], dtype=np.float32)
    spread = np.zeros_like(mean) if orientations > 1 else None
    for n, axes in enumerate(MIRRORINGS[:orientations]):
        for k, (core, wide) in enumerate(boxes):
            done = (n * len(boxes) + k) * model.config.layers
            tile = np.flip(image[(slice(None), *wide)], tuple(axis + 1 for axis in axes))
            out = np.flip(infer(model, tile, progress=_from(progress, done, total)), axes)
            inner = tuple(slice(c.start - w.start, c.stop - w.start) for c, w in zip(core, wide, strict=True))
            step = out[inner] - mean[core]
            mean[core] += step / (n + 1)
            if spread is not None:
                spread[core] += step * (out[inner] - mean[core])
    return mean, None if spread is None else np.sqrt(spread / (orientations - 1))


def _from(progress: Progress, done: int, total: int) -> Callable[[int, int], None]:
    return lambda layer, _: progress(done + layer, total)


def _write_map(path: Path, volume: Volume, data: Floats, ratio: float) -> None:
    """Write a map of the network's grid on the volume's own; an .mrc or .zarr file slab by slab."""
    stream = {".mrc": _stream_mrc, ".zarr": _stream_zarr}.get(path.suffix.lower())
    if stream is None:
        return write_volume(path, volume.with_data(_on_full_grid(data, ratio, volume.shape)))
    with written_beside(path) as beside:
        stream(beside, volume, _slabs(data, ratio, volume.shape))


def _stream_zarr(path: Path, volume: Volume, slabs: Iterator[tuple[slice, Floats]]) -> None:
    """Write slabs into an OME-Zarr image, each into chunks of its own."""
    array = new_zarr(path, volume, np.float32, (PLANES_A_SLAB, 256, 256))
    for planes, data in slabs:
        array[planes] = data


def _stream_mrc(path: Path, volume: Volume, slabs: Iterator[tuple[slice, Floats]]) -> None:
    """Write slabs into a float32 MRC file, with the header's statistics summed on the way.

    By plain writes: on a full disk a memory map ends the process without a word.
    """
    header = _mrc_header(path, volume)
    lowest, highest, total, squares = np.inf, -np.inf, 0.0, 0.0
    with path.open("r+b") as file:
        file.seek(header.nbytes)
        for _, data in slabs:
            file.write(np.ascontiguousarray(data, dtype=np.float32).data)
            lowest, highest = min(lowest, data.min()), max(highest, data.max())
            total += float(data.sum(dtype=np.float64))
            squares += float(np.square(data, dtype=np.float64).sum())
        mean = total / math.prod(volume.shape)
        header.dmin, header.dmax, header.dmean = lowest, highest, mean
        header.rms = np.sqrt(max(0.0, squares / math.prod(volume.shape) - mean**2))
        file.seek(0)
        file.write(header.tobytes())


def _mrc_header(path: Path, volume: Volume) -> Any:
    """The header of a float32 MRC file on a volume's grid; the file is begun with one voxel."""
    with mrcfile.new(path, overwrite=True) as file:
        file.set_data(np.zeros((1, 1, 1), dtype=np.float32))
        file.set_volume()
        for axis, size in zip("zyx", volume.shape, strict=True):
            file.header[f"n{axis}"] = file.header[f"m{axis}"] = size
        stamp_mrc_geometry(file, volume.voxel_size_nm, volume.origin_nm)
        return file.header.copy()


def require_orientations(settings: PredictSettings) -> None:
    """InputError where one orientation is all there is, which has no spread."""
    if settings.orientations < 2:
        raise InputError("an uncertainty needs orientations = 2, 4 or 8; set it in [predict]")


def _require_membranes(model: MSDNet, volume: Volume, membranes: Volume | None) -> None:
    wanted = model.config.input_channels
    if input_channels(membranes) != wanted:
        raise InputError(
            f"the network was trained {'with' if wanted > 1 else 'without'} membranes beside the tomogram "
            f"({wanted} channels): {'add' if wanted > 1 else 'leave out'} --membranes"
        )
    if membranes is not None and membranes.shape != volume.shape:
        raise InputError(f"the membranes have shape {membranes.shape} (z, y, x), the tomogram {volume.shape}")


def _warn_of_polarity(tomogram: Floats, record: ModelRecord) -> None:
    """Say so where the grey values are skewed the other way than those trained on, whatever is found."""
    skewness = intensity_skewness(tomogram)
    if record.skewness is not None and looks_inverted(skewness, record.skewness):
        log.warning(
            "most likely inverted contrast (skewness %+.2f, in training %+.2f): set polarity in [predict]",
            skewness,
            record.skewness,
        )


def _warn_if_empty(confidence: Floats, tomogram: Floats, record: ModelRecord) -> None:
    """Say so where no voxel reaches the threshold, with what may be the cause."""
    highest = float(confidence.max())
    if highest >= record.threshold:
        return
    trained = "" if record.skewness is None else f", in training {record.skewness:+.2f}"
    log.warning(
        "nothing found: the highest confidence is %.3f, the threshold %.3f; causes: other polarity or voxel "
        "size than the header says, other filtering than in training, or no such ROI in it (skewness of the "
        "grey values %+.2f%s)",
        highest,
        record.threshold,
        intensity_skewness(tomogram),
        trained,
    )
