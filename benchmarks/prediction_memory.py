"""Memory of a prediction, by estimate and as it was, and the seams that tiles leave; Markdown tables.

    python benchmarks/prediction_memory.py [--quick | --default] [--folder FOLDER]

A noise tomogram is written to disk and predicted from disk to disk, each time by a process of its own;
with membranes a mask of them is read beside it, which makes three input channels.
*Told* is what `prediction_memory_bytes` counts and the program says before the run. *Grown* is the most
that the process held beyond what it had after loading its libraries; *in all* is everything it held, and
*with files* also has the pages of mapped files, which the system takes back when it needs them. Every run
is under a limit of 6 GiB (RLIMIT_DATA) that would end it. Linux only.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import psutil
import torch

from tomocore.volumes.formats import read_volume, write_volume
from tomocore.volumes.volume import Volume
from tomorois.network.checkpoint import ModelRecord
from tomorois.network.msdnet.config import MSDNetConfig
from tomorois.network.msdnet.module import MSDNet
from tomorois.network.settings import CHANNELS
from tomorois.prediction.predict import (
    PredictionInput,
    network_ratio,
    network_shape,
    predict_to_file,
    prediction_memory_bytes,
    tile_boxes,
)
from tomorois.prediction.settings import PredictSettings

GIB = 2**30
LIMIT_GIB = 6
VOXEL_NM = 1.0


@dataclass(frozen=True)
class Case:
    """A tomogram (z, y, x), how it is predicted and to what kind of file."""

    shape: tuple[int, int, int]
    bin_factor: int
    layers: int = 20
    max_memory_gib: float = LIMIT_GIB
    orientations: int = 1
    source: str = ".mrc"
    ending: str = ".mrc"
    dilations: tuple[int, ...] = (1, 2, 4, 8)
    membranes: bool = False

    @property
    def model(self) -> MSDNet:
        inputs = 1 + CHANNELS if self.membranes else 1
        config = MSDNetConfig(layers=self.layers, dilations=self.dilations, input_channels=inputs)
        model = MSDNet(config, seed=1)
        with torch.no_grad():
            model.output_weight.normal_(generator=torch.Generator().manual_seed(2))
        return model

    @property
    def record(self) -> ModelRecord:
        return ModelRecord(voxel_size_nm=VOXEL_NM * self.bin_factor, bin_factor=self.bin_factor)

    @property
    def settings(self) -> PredictSettings:
        return PredictSettings(max_memory_gib=self.max_memory_gib, orientations=self.orientations)


MIDDLE, WHOLE = (96, 400, 400), (300, 1024, 1024)
QUICK = (
    Case(MIDDLE, 1),
    Case(MIDDLE, 1, orientations=2),
    Case(MIDDLE, 2),
    Case(MIDDLE, 2, ending=".zarr"),
    Case(MIDDLE, 2, source=".zarr"),
    Case(MIDDLE, 2, orientations=4, membranes=True),
)
DEFAULT = (Case(WHOLE, 2, orientations=4, membranes=True), Case(WHOLE, 2, orientations=4))
FULL = (Case(WHOLE, 2), Case(WHOLE, 2, ending=".zarr"), Case(WHOLE, 2, max_memory_gib=3.0), *DEFAULT)
SEAMS = ((1, 6, 0.35), (2, 12, 0.18))  # bin factor, layers, memory for tiles in GiB


def noise_tomogram(shape: tuple[int, int, int], folder: Path, ending: str) -> Path:
    """A file of noise with a slow gradient; planes repeat, moved, so that it is quick to make."""
    path = folder / f"noise_{'_'.join(map(str, shape))}{ending}"
    if not path.exists():
        planes = np.random.default_rng(1).normal(0, 20, (7, *shape[1:])).astype(np.int16)
        data = np.empty(shape, dtype=np.int16)
        for z in range(shape[0]):
            data[z] = np.roll(planes[z % 7], 13 * z, axis=1) + z // 8
        write_volume(path, Volume(data, VOXEL_NM))
    return path


def membrane_mask(shape: tuple[int, int, int], folder: Path) -> Path:
    """A file of sheets across the tomogram, 4 voxels thick and 40 apart."""
    path = folder / f"sheets_{'_'.join(map(str, shape))}.mrc"
    if not path.exists():
        data = np.zeros(shape, dtype=np.int8)
        for start in range(4):
            data[:, start::40] = 1
        write_volume(path, Volume(data, VOXEL_NM))
    return path


@contextmanager
def peaks(found: dict[str, float]) -> Iterator[None]:
    """Sample this process's memory every few milliseconds: own and with mapped files, most seen, in GiB."""
    process, done = psutil.Process(), threading.Event()

    def sample() -> None:
        while not done.is_set():
            now = process.memory_info()
            found["own"] = max(found.get("own", 0.0), (now.rss - now.shared) / GIB)
            found["all"] = max(found.get("all", 0.0), now.rss / GIB)
            time.sleep(0.003)

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def measured(case: Case, source: Path, mask: Path | None, target: Path) -> dict[str, float]:
    """One prediction in this process under the limit: seconds, memory before and at most, in GiB."""
    small = source.with_name(f"warm{target.suffix}")
    model, record = case.model, case.record
    cube = Volume(np.random.default_rng(0).normal(size=(20,) * 3), VOXEL_NM)
    beside = cube.with_data(cube.data > 0) if mask else None
    predict_to_file(PredictionInput(model, record, cube, beside), small)
    resource.setrlimit(resource.RLIMIT_DATA, (LIMIT_GIB * GIB, LIMIT_GIB * GIB))
    now = psutil.Process().memory_info()
    found = {"before": (now.rss - now.shared) / GIB}
    start = time.perf_counter()
    with peaks(found):
        volume = read_volume(source, lazy=True)
        membranes = read_volume(mask, lazy=True) if mask else None
        predict_to_file(PredictionInput(model, record, volume, membranes, case.settings), target)
    return found | {"seconds": time.perf_counter() - start}


def told_gib(case: Case) -> tuple[int, float]:
    """Tiles of the prediction, and the memory said before it."""
    model, ratio = case.model, network_ratio(case.record, VOXEL_NM)
    shape = network_shape(case.shape, ratio)
    fixed = prediction_memory_bytes(model, case.shape, ratio, (1, 1, 1), case.orientations)
    budget = int((case.max_memory_gib * GIB - fixed) * 0.95)
    boxes = tile_boxes(shape, model.config.channels, model.config.halo, budget)
    wide = max((tuple(s.stop - s.start for s in box) for _, box in boxes), key=np.prod)
    told = prediction_memory_bytes(model, case.shape, ratio, (wide[0], wide[1], wide[2]), case.orientations)
    return len(boxes), told / GIB


def in_own_process(case: Case, folder: Path, target: Path) -> dict[str, float]:
    source = noise_tomogram(case.shape, folder, case.source)
    mask = membrane_mask(case.shape, folder) if case.membranes else None
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        return pool.submit(measured, case, source, mask, target).result()


def memory_row(case: Case, folder: Path) -> str:
    """One line of the table of memory."""
    tiles, told = told_gib(case)
    found = in_own_process(case, folder, folder / f"confidence{case.ending}")
    grown = found["own"] - found["before"]
    missed = ["MISS: more than told"] * (grown > told) + ["MISS: over 6 GiB"] * (found["own"] > LIMIT_GIB)
    size = " × ".join(map(str, case.shape[::-1]))
    membranes = "yes" if case.membranes else "no"
    runs = f"{case.bin_factor} | {case.layers} | {membranes} | {case.orientations} | {tiles}"
    files = f"{case.source[1:]} → {case.ending[1:]}"
    memory = f"{told:.2f} | {grown:.2f} | {found['own']:.2f} | {found['all']:.2f}"
    return f"| {size} | {runs} | {files} | {memory} | {found['seconds']:.0f} | {', '.join(missed)} |"


def seam_row(bin_factor: int, layers: int, memory_gib: float, folder: Path) -> str:
    """One line of the table of seams: the map in tiles against the map in one piece, on the full grid."""
    whole = Case(MIDDLE, bin_factor, layers, dilations=(1, 2, 4))
    tiled = Case(MIDDLE, bin_factor, layers, memory_gib, dilations=(1, 2, 4))
    maps = []
    for name, case in (("whole", whole), ("tiled", tiled)):
        in_own_process(case, folder, folder / f"{name}.mrc")
        maps.append(read_volume(folder / f"{name}.mrc").data)
    seam = float(np.abs(maps[0] - maps[1]).max())
    told = f"{bin_factor} | {layers} | {told_gib(tiled)[0]} | {tiled.model.config.halo}"
    return f"| {told} | {seam:.0e} | {float(np.ptp(maps[0])):.2f} | {'MISS' if seam > 1e-5 else ''} |"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    some = parser.add_mutually_exclusive_group()
    some.add_argument("--quick", action="store_true", help="leave out the tomogram of full size")
    some.add_argument("--default", action="store_true", help="only full size with the default settings")
    parser.add_argument("--folder", type=Path, help="where the volumes are written for the while")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        print("| tomogram (x × y × z) | bin | layers | membranes | orientations | tiles | files ", end="")
        print("| told, GiB | grown, GiB | in all, GiB | with files, GiB | s | |")
        print("|" + "---|" * 13)
        for case in QUICK if arguments.quick else DEFAULT if arguments.default else (*QUICK, *FULL):
            print(memory_row(case, Path(name)), flush=True)
        if arguments.default:
            return
        print(
            "\n| bin | layers | tiles | halo | largest difference | range of confidence | |\n|" + "---|" * 7
        )
        for seam in SEAMS:
            print(seam_row(*seam, Path(name)), flush=True)


if __name__ == "__main__":
    main()
