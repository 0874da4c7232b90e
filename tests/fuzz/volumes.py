"""Volumes of every format, packing and byte order that is read."""

import bz2
import json
import random
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from fuzz import mutations
from fuzz.format import BYTES, Format

from tomocore.contract import naming
from tomocore.roiset import read_rois, union_mask, write_rois
from tomocore.volumes.formats import inspect_voxels, read_volume, write_volume
from tomocore.volumes.volume import Volume

SHAPE = (6, 9, 8)


def grey() -> np.ndarray:
    return np.random.default_rng(5).normal(size=SHAPE).astype(np.float32)


def labels() -> np.ndarray:
    data = np.zeros(SHAPE, np.int8)
    data[1:3, 2:7, 2:6], data[4, 1:8, 1:7] = 1, 2
    return data


def volume_writer(data: Callable[[], np.ndarray]) -> Callable[[Path], object]:
    return lambda path: write_volume(path, Volume(data(), 1.5, (1.0, 2.0, 3.0)))


def read_rois_of(path: Path) -> None:
    rois = read_rois(path, None if path.suffix == ".npz" else 1.5)
    if len(rois):
        write_rois(path.parent, "again", rois, overwrite=True)
    with naming(path):
        union_mask(rois)


def _read(path: Path) -> None:
    from surfora.masks.membranes import open_mask
    from tomorois.info import inspect_file, report_lines

    whole = read_volume(path, 1.5)
    lazy = read_volume(path, 1.5, lazy=True)
    np.testing.assert_array_equal(np.asarray(lazy.data[1:3, :2]), whole.data[1:3, :2])
    inspect_voxels(path)
    report_lines(inspect_file(path))
    if path.is_file() and whole.data.dtype.kind in "iu":
        read_rois_of(path)
        open_mask(path, None, None, 1.5)


def _make_other_mrc(path: Path) -> None:
    """Big-endian 16-bit numbers, axes in another order, and a header that is extended."""
    import mrcfile

    with mrcfile.new(path) as file:
        file.set_data(labels().astype(np.int16))
        file.set_volume()
        file.set_extended_header(np.zeros(2, "V768"))
        file.voxel_size = 15.0
        file.header.mapc, file.header.mapr, file.header.maps = 2, 1, 3
    raw = bytearray(path.read_bytes())
    head = np.frombuffer(bytes(raw[:1024]), mrcfile.dtypes.HEADER_DTYPE).byteswap()
    machine = bytes((0x11, 0x11, 0, 0))
    raw[:1024] = head.tobytes()
    raw[212:216] = machine
    raw[208:212] = b"MAP "
    body = np.frombuffer(bytes(raw[1024 + 1536 :]), "<i2").astype(">i2").tobytes()
    path.write_bytes(bytes(raw[: 1024 + 1536]) + body)


def _make_bz2(path: Path) -> None:
    plain = path.with_suffix("")
    volume_writer(labels)(plain)
    path.write_bytes(bz2.compress(plain.read_bytes()))
    plain.unlink()


def _damaged_bz2(raw: bytes, rng: random.Random) -> bytes:
    if rng.random() < 0.5:
        return mutations.damaged_bytes(raw, rng)
    return bz2.compress(mutations.damaged_bytes(bz2.decompress(raw), rng))


def _make_imagej(path: Path) -> None:
    import tifffile

    meta = {"axes": "ZYX", "unit": "nm", "spacing": 1.5}
    tifffile.imwrite(path, labels().astype(np.uint8), imagej=True, resolution=(2 / 3, 2 / 3), metadata=meta)


def _make_deflated_tiff(path: Path) -> None:
    import tifffile

    tifffile.imwrite(path, labels().astype(np.uint8), compression="zlib", ome=True, metadata={"axes": "ZYX"})


def _make_big_tiff(path: Path) -> None:
    import tifffile

    tifffile.imwrite(
        path, labels().astype(np.uint16), bigtiff=True, byteorder=">", tile=(16, 16), compression="zlib",
        metadata={"axes": "ZYX"},
    )  # fmt: skip


def _make_hdf5(path: Path) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        data = file.create_dataset("labels", data=labels(), chunks=(3, 4, 4), compression="gzip")
        data.attrs["element_size_um"] = [0.0015] * 3
        data.attrs["axistags"] = json.dumps({"axes": [{"key": axis} for axis in "zyx"]})


def _make_other_hdf5(path: Path) -> None:
    """As EMAN2 and newer libraries write it: nested groups, shuffled, checked and packed otherwise."""
    import h5py

    with h5py.File(path, "w", libver="latest") as file:
        data = file.create_dataset(
            "MDF/images/0/image", data=grey(), chunks=(2, 9, 8), compression="lzf", shuffle=True,
            fletcher32=True,
        )  # fmt: skip
        data.attrs["EMAN.apix_x"] = 15.0
        data.attrs["name"] = "a" * 300


def _make_plain_hdf5(path: Path) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        file["volume"] = labels()
        file["link"] = h5py.SoftLink("/volume")


def _amira(packing: str, body: bytes, mark: str = "BINARY-LITTLE-ENDIAN") -> Callable[[Path], object]:
    z, y, x = SHAPE
    head = (
        f"# AmiraMesh {mark} 2.1\n\n"
        f'define Lattice {x} {y} {z}\n\nParameters {{\n    Units {{ Coordinates "nm" }}\n'
        f"    BoundingBox 0 {1.5 * (x - 1)} 0 {1.5 * (y - 1)} 0 {1.5 * (z - 1)},\n"
        '    CoordType "uniform"\n}\n\n'
        f"Lattice {{ byte Labels }} @1{packing}\n\n# Data section follows\n@1\n"
    )
    return lambda path: path.write_bytes(head.encode() + body)


FLAT = labels().astype(np.uint8).tobytes()
ZIPPED = zlib.compress(FLAT)
RUNS = b"".join(bytes((1, value)) for value in FLAT[:100]) + b"\x8a" + FLAT[100:110] + b"".join(
    bytes((1, value)) for value in FLAT[110:]
)  # fmt: skip
WORDS = " ".join(map(str, FLAT)).encode()


def _make_zarr3(path: Path) -> None:
    import zarr

    group = zarr.open_group(path, mode="w", zarr_format=3)
    group.create_array("0", data=grey(), chunks=(4, 4, 4))
    axes = [{"name": axis, "type": "space", "unit": "nanometer"} for axis in "zyx"]
    scale = [{"type": "scale", "scale": [1.5] * 3}, {"type": "translation", "translation": [1, 2, 3]}]
    image = {"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": scale}]}
    group.attrs["ome"] = {"version": "0.5", "multiscales": [image]}


def _make_sharded_zarr(path: Path) -> None:
    """Chunks in shards with checksums, and labels within an image."""
    import zarr

    group = zarr.open_group(path, mode="w", zarr_format=3)
    inner = group.create_group("labels/membrane")
    inner.create_array("s0", data=labels(), chunks=(2, 4, 4), shards=(6, 8, 8), fill_value=0)
    image = {
        "axes": [{"name": axis, "type": "space", "unit": "angstrom"} for axis in "zyx"],
        "datasets": [
            {"path": "s0", "coordinateTransformations": [{"type": "scale", "scale": [15.0] * 3}]}
        ],
    }  # fmt: skip
    inner.attrs["ome"] = {"version": "0.5", "multiscales": [image]}


def _make_blosc_zarr(path: Path) -> None:
    """Five axes, two levels, Blosc with a filter before it, as older writers have it."""
    import numcodecs
    import zarr

    group = zarr.open_group(path, mode="w", zarr_format=2)
    for level, step in (("0", 1), ("1", 2)):
        data = labels()[None, None, ::step, ::step, ::step].astype(np.int16)
        group.create_array(
            level, data=data, chunks=(1, 1, 4, 4, 4), compressors=numcodecs.Blosc("zstd", 3),
            filters=[numcodecs.Delta("<i2")],
        )  # fmt: skip
    group.attrs["multiscales"] = [
        {"version": "0.2", "datasets": [{"path": "0"}, {"path": "1"}], "name": "image"}
    ]  # fmt: skip


VOLUMES = {
    "MRC": Format(volume_writer(grey), BYTES, _read, ".mrc"),
    "MRC labels": Format(volume_writer(labels), BYTES, _read, ".mrc"),
    "MRC big-endian": Format(_make_other_mrc, BYTES, _read, ".mrc", 0.5),
    "MRC.gz": Format(volume_writer(labels), mutations.damaged_gzip, _read, ".mrc.gz"),
    "MRC.bz2": Format(_make_bz2, _damaged_bz2, _read, ".mrc.bz2", 0.5),
    "TIFF": Format(volume_writer(grey), BYTES, _read, ".tif"),
    "TIFF packed": Format(_make_deflated_tiff, BYTES, _read, ".tif"),
    "TIFF of ImageJ": Format(_make_imagej, BYTES, _read, ".tif"),
    "TIFF tiled": Format(_make_big_tiff, BYTES, _read, ".tif", 0.5),
    "HDF5": Format(_make_hdf5, BYTES, _read, ".h5"),
    "HDF5 of EMAN2": Format(_make_other_hdf5, BYTES, _read, ".hdf", 0.7),
    "HDF5 plain": Format(_make_plain_hdf5, BYTES, _read, ".h5", 0.5),
    "Amira": Format(_amira(f"(HxZip,{len(ZIPPED)})", ZIPPED), BYTES, _read, ".am", 0.5),
    "Amira runs": Format(_amira(f"(HxByteRLE,{len(RUNS)})", RUNS), BYTES, _read, ".am", 0.3),
    "Amira plain": Format(_amira("", FLAT), BYTES, _read, ".am", 0.3),
    "Amira text": Format(_amira("", WORDS, "3D ASCII"), mutations.damaged_words, _read, ".am", 0.3),
    "OME-Zarr 0.4": Format(volume_writer(labels), BYTES, _read, ".zarr", 0.6),
    "OME-Zarr 0.5": Format(_make_zarr3, BYTES, _read, ".zarr", 0.6),
    "OME-Zarr in shards": Format(_make_sharded_zarr, BYTES, _read, ".zarr", 0.5),
    "OME-Zarr with Blosc": Format(_make_blosc_zarr, BYTES, _read, ".zarr", 0.5),
}
