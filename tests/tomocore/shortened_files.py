"""Run as a process: reads files that are shortened and made whole again meanwhile, says what came of it.

    python shortened_files.py FOLDER [mapped]

With "mapped" it reads by a map instead, as a control: that ends the process.
"""

import json
import sys
import threading
import time
from pathlib import Path

import numpy as np

ROUNDS, SLOW_ROUNDS = 30, 2
SLOW = (".ply",)
"""Kinds that are read in a process of their own, half a second each time."""


def sound_files(folder):
    """Files of several pages, and what reads each."""
    import h5py
    import torch

    from surfora.geometry.files import read_surface, write_surface
    from surfora.geometry.surface import PointCloud
    from surfora.reporting.tables import read_table
    from tomocore.roiset import read_rois, rois_from_masks, write_rois_archive
    from tomocore.volumes.formats import read_volume, write_volume
    from tomocore.volumes.volume import Volume
    from tomorois.network.checkpoint import load_training_state, save_training_state

    rng = np.random.default_rng(1)
    grey = Volume(rng.normal(size=(40, 60, 60)).astype(np.float32), 2.0)
    found = {}

    def whole(path):
        return np.asarray(read_volume(path, 2.0).data).sum()

    for name in ("a.mrc", "a.mrc.gz", "a.tif"):
        write_volume(folder / name, grey)
        found[folder / name] = whole
    write_volume(folder / "a.zarr", grey)
    (chunk,) = (path for path in (folder / "a.zarr" / "0").rglob("[0-9]*") if path.is_file())
    found[chunk] = lambda path: whole(folder / "a.zarr")
    with h5py.File(folder / "a.h5", "w") as file:
        file.create_dataset("v", data=grey.data, chunks=(8, 60, 60), compression="gzip")
    found[folder / "a.h5"] = whole
    mask = rng.random((40, 60, 60)) > 0.5
    write_rois_archive(folder / "a.npz", rois_from_masks([(0, 0, 0)], [mask], mask.shape, 2.0, (0, 0, 0), {}))
    found[folder / "a.npz"] = read_rois
    save_training_state(folder / "a.safetensors", {"w": torch.rand(300_000)}, {})
    found[folder / "a.safetensors"] = load_training_state
    cloud = PointCloud(rng.normal(size=(20_000, 3)) * 50, None)
    for name in ("a.vtp", "a.ply"):
        write_surface(folder / name, cloud)
        found[folder / name] = read_surface
    rows = "\n".join(f"m{n},medial,1,,{n}.mrc,{n}.5" for n in range(20_000))
    (folder / "surfaces.csv").write_text(f"name,kind,label,roi,source,area_nm2\n{rows}\n")
    found[folder / "surfaces.csv"] = read_table
    return found


def by_a_map(path):
    """The control."""
    data = np.memmap(path, np.uint8, "r")
    for _ in range(200):
        data[::512].sum()


class Shortener(threading.Thread):
    """Cuts a file in place and fills it again until it is stopped; notes whether the file was mapped."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.path, self.content = path, path.read_bytes()
        self.stopped, self.was_mapped, self.cuts = threading.Event(), False, 0

    def run(self):
        rng = np.random.default_rng(len(self.content))
        while not self.stopped.is_set():
            with self.path.open("r+b") as file:
                file.truncate(int(rng.integers(0, len(self.content) // 2)))
                self.cuts += 1
                time.sleep(rng.random() * 0.003)
                self.was_mapped |= str(self.path) in Path("/proc/self/maps").read_text()
                file.seek(0)
                file.write(self.content)
            time.sleep(rng.random() * 0.003)

    def stop(self):
        self.stopped.set()
        self.join()
        self.path.write_bytes(self.content)


def read_while_shortened(path, read):
    """How often it was read, refused, or ended in something else, and whether it was ever mapped."""
    from tomocore.contract import InputError

    told = {"read": 0, "refused": 0, "others": []}
    shortener = Shortener(path)
    shortener.start()
    for _ in range(SLOW_ROUNDS if path.suffix in SLOW else ROUNDS):
        try:
            read(path)
            told["read"] += 1
        except InputError:
            told["refused"] += 1
        except Exception as error:
            told["others"].append(f"{type(error).__name__}: {error}")
    shortener.stop()
    return {**told, "mapped": shortener.was_mapped, "cuts": shortener.cuts}


def main(folder, control):
    if control:
        path = folder / "a.raw"
        path.write_bytes(bytes(2**20))
        files = {path: by_a_map}
    else:
        files = sound_files(folder)
    print(json.dumps({path.name: read_while_shortened(path, read) for path, read in files.items()}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), len(sys.argv) > 2)
