"""What napari finds in the manifest: the dock, readers and writers, sample data."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tomocore.contract import InputError, naming
from tomocore.files_of_tomograms import product_of, volume_stem
from tomocore.roiset import labels_from_rois, read_rois
from tomocore.volumes.formats import inspect_volume, read_volume, write_volume
from tomocore.volumes.volume import Volume
from tomorois.napari.layers import place_of, tomogram_layer

if TYPE_CHECKING:
    import napari

log = logging.getLogger(__name__)

LayerData = tuple[Any, dict[str, Any], str]
ENDINGS = (".mrc", ".rec", ".map", ".mrc.gz", ".mrc.bz2", ".rec.gz", ".zarr", "__rois.npz")
LABEL_PRODUCTS = ("labels", "membranes", "rois", "rejected", "restricted", "components")
SAMPLE_SHAPE = (64, 128, 128)
SAME_PLACE = 1e-6


def loop_widget(napari_viewer: napari.viewer.Viewer) -> Any:
    """The dock of the loop, for napari's menu; what is open in the viewer already stays."""
    from tomorois.napari.window import LoopWidget, shut_with_window

    widget = LoopWidget(napari_viewer)
    shut_with_window(napari_viewer, widget)
    return widget


def reader_of(path: str | Sequence[str]) -> Callable[[str | Sequence[str]], list[LayerData]] | None:
    """What reads a path, or None where it is not ours."""
    first = path if isinstance(path, str) else path[0]
    return read_layers if str(first).lower().rstrip("/").endswith(ENDINGS) else None


def read_layers(path: str | Sequence[str]) -> list[LayerData]:
    """Layers with scale, place and units in nm of volumes and ROI files; large ones stay on the disk.

    A voxel size that cannot be believed is told; such a volume is shown with what its header says, or with
    1 nm where it says nothing.
    """
    paths = [path] if isinstance(path, str) else list(path)
    return [_layer_of(Path(one)) for one in paths]


def write_image(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write an image layer as .mrc or .zarr with its voxel size and place; the paths written."""
    return [_write(Path(path), data, attributes)]


def write_labels(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write a labels layer as .mrc or .zarr with its voxel size and place; the paths written."""
    return [_write(Path(path), data, attributes)]


def contacts_sample() -> list[LayerData]:
    """A synthetic tomogram in which membranes touch, its membranes, and the true contacts."""
    return _sample("contacts")


def buds_sample() -> list[LayerData]:
    """A synthetic tomogram in which membranes bud, its membranes, and the true buds."""
    return _sample("invaginations")


def _layer_of(path: Path) -> LayerData:
    stem = volume_stem(path)
    if path.suffix.lower() == ".npz":
        with naming(path):
            labels = labels_from_rois(read_rois(path))
        return np.asarray(labels.data), {"name": stem, **place_of(labels)}, "labels"
    volume = _believed(path)
    if product_of(path) in LABEL_PRODUCTS and np.issubdtype(volume.data.dtype, np.integer):
        return volume.data, {"name": stem, **place_of(volume)}, "labels"
    data, arguments = tomogram_layer(volume)
    return data, {"name": stem, **arguments}, "image"


def _believed(path: Path) -> Volume:
    header = inspect_volume(path)
    if not header.size_problem:
        return read_volume(path, lazy=True)
    told = [edge for edge in header.voxel_size_nm if np.isfinite(edge) and 0.05 < edge < 100]
    edge = min(told, default=1.0)
    log.warning("%s: %s; shown with voxels of %.4g nm", path, header.size_problem, edge)
    return read_volume(path, edge, lazy=True, resample=header.anisotropic)


def _write(path: Path, data: Any, attributes: dict[str, Any]) -> str:
    values = np.asarray(data[0] if attributes.get("multiscale") else data)
    scale = np.asarray(attributes.get("scale", (1.0,) * 3), dtype=np.float64)[-3:]
    if values.ndim != 3:
        raise InputError(f"{path}: volumes of three axes can be written, this layer has {values.ndim}")
    if np.ptp(scale) > SAME_PLACE * scale.max():
        raise InputError(
            f"{path}: the layer's voxels have unequal edges {tuple(scale)}; bring them to one edge"
        )
    z, y, x = (float(at) for at in np.asarray(attributes.get("translate", (0.0,) * 3))[-3:])
    edge = float(scale[0]) * _nm_of(attributes.get("units"))
    write_volume(path, Volume(values, edge, (x, y, z)))
    return str(path)


def _nm_of(units: Any) -> float:
    """How many nm a layer's unit is; 1 where it has none, since lengths here are in nm."""
    if units is None:
        return 1.0
    unit = units[0] if isinstance(units, list | tuple) else units
    names = {"nm": 1.0, "nanometer": 1.0, "Å": 0.1, "angstrom": 0.1, "µm": 1000.0, "micrometer": 1000.0}
    return names.get(str(unit), 1.0)


def _sample(kind: Any) -> list[LayerData]:
    from tomorois.phantoms.files import PhantomRequest, make_phantom_files
    from tomorois.phantoms.phantom import PhantomSettings

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_phantom_files(PhantomRequest(folder, 1, 1), kind, PhantomSettings(shape_zyx=SAMPLE_SHAPE))
        layers = []
        for path in sorted(folder.glob("*.mrc"), key=lambda path: product_of(path)):
            if product_of(path) in ("", "membranes", "labels"):
                data, arguments, layer = _layer_of(path)
                layers.append((np.array(data), arguments, layer))
    return layers
