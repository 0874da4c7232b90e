"""Surfaces under edit: their files, and where their points stand in the row of a session."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array

from surfora.editor.edited import LABEL, Surface, places_of
from surfora.editor.edits import digest_of
from surfora.editor.links import surface_links
from surfora.geometry.arrays import Ints, Points
from surfora.geometry.clouds import LengthUnit
from surfora.geometry.facts import SurfaceFacts
from surfora.geometry.files import read_facts, read_surface
from surfora.geometry.surface import SurfaceMesh, vertex_normals
from tomocore.contract import InputError
from tomocore.files import existing

LARGEST_LABEL = 30_000


@dataclass(frozen=True)
class Scale:
    """How lengths in files of other programs are read: their unit, and the edge in nm of unit "voxel"."""

    unit: LengthUnit | None = None
    voxel_size_nm: float | None = None


@dataclass(frozen=True)
class Layer:
    """One surface of a session: its file, how that was read, and where its points are in the common row."""

    path: Path
    surface: Surface
    facts: SurfaceFacts | None
    start: int
    scale: Scale = Scale()

    @cached_property
    def count(self) -> int:
        """How many points it has."""
        return len(places_of(self.surface))

    @property
    def rows(self) -> slice:
        """Its part of the common row."""
        return slice(self.start, self.start + self.count)

    @property
    def is_mesh(self) -> bool:
        """Whether it has triangles."""
        return isinstance(self.surface, SurfaceMesh)

    @cached_property
    def digest(self) -> str:
        """Hash of its points."""
        return digest_of(places_of(self.surface))

    @cached_property
    def links(self) -> csr_array:
        """Its links between neighbours; some seconds for a million points, once."""
        return surface_links(self.surface)

    @cached_property
    def normals(self) -> Points:
        """Normals (n, 3) as in its file; NaN where there are none."""
        if self.surface.normals is not None:
            return self.surface.normals
        if isinstance(self.surface, SurfaceMesh):
            return vertex_normals(self.surface.vertices, self.surface.faces)
        return np.full((self.count, 3), np.nan)


def read_layer(path: Path, start: int = 0, scale: Scale = Scale()) -> Layer:
    """A surface from a file, to stand from ``start`` in the row. InputError where it cannot be read."""
    surface = read_surface(path, scale.unit, scale.voxel_size_nm)
    return Layer(path, surface, read_facts(path), start, scale)


def labels_of(layer: Layer) -> Ints:
    """The classes (n,) that a file brings along, 0 where it has none."""
    given = layer.surface.data.get(LABEL)
    if given is None or given.ndim != 1 or given.dtype.kind not in "biu":
        return np.zeros(layer.count, dtype=np.int64)
    return np.clip(given.astype(np.int64), 0, LARGEST_LABEL)


def layers_of(paths: Sequence[Path], scale: Scale = Scale()) -> tuple[Layer, ...]:
    """The surfaces of files, one after the other in the common row. InputError for a file given twice.

    ``scale`` is for files of other programs.
    """
    layers: list[Layer] = []
    for path in paths:
        if any(layer.path.resolve() == existing(path).resolve() for layer in layers):
            raise InputError(f"{path}: is given twice; name each file once")
        start = layers[-1].start + layers[-1].count if layers else 0
        layers.append(read_layer(path, start, scale))
    return tuple(layers)
