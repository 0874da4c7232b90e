"""Coloured surfaces for programs that draw them: OBJ with its material, PLY, and glTF in one file (GLB)."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from surfora.geometry.arrays import Bytes, Floats
from surfora.geometry.colours import (
    BY_NUMBER,
    SURFACES,
    Colouring,
    by_number,
    by_value,
    rgb,
    suited_colouring,
    table_of,
)
from surfora.geometry.files import write_polydata
from surfora.geometry.glb import GENERATOR, Z_UP
from surfora.geometry.surface import SurfaceMesh, to_polydata, vertex_normals
from tomocore.contract import InputError
from tomocore.files import written_beside, written_together

ANGSTROM_PER_NM = 10.0
FLOAT, WHOLE, OF_VERTICES, OF_CORNERS = 5126, 5125, 34962, 34963


@dataclass(frozen=True)
class Paint:
    """By which array surfaces are coloured, by which map of matplotlib, and between which values.

    Empty or None: one colour a surface; the map and the limits that suit the array.
    """

    array: str = ""
    colours: str = ""
    limits: tuple[float, float] | None = None


@dataclass(frozen=True)
class PaintedMesh:
    """A mesh with a colour (n, 3) from 0 to 255 a vertex; ``colouring`` where they follow an array."""

    name: str
    mesh: SurfaceMesh
    colours: Bytes
    colouring: Colouring | None = None


class GltfConvention(NamedTuple):
    """How a GLB counts: its units to a nm, whether z is up (glTF: y), whether colours are linear or sRGB."""

    units_per_nm: float
    z_is_up: bool
    linear: bool


STANDARD = GltfConvention(1.0, False, True)
CHIMERAX = GltfConvention(ANGSTROM_PER_NM, True, False)
"""ChimeraX reads lengths as Å, leaves axes as they are and takes colours for those of the screen."""


def painted(name: str, mesh: SurfaceMesh, paint: Paint, number: int = 0) -> PaintedMesh:
    """A mesh coloured as asked, or whole in the colour of its ``number`` among others.

    Raises InputError where it lacks the array, or matplotlib the map.
    """
    if not paint.array:
        colours = np.tile(rgb(SURFACES[number % len(SURFACES)]), (len(mesh.vertices), 1))
        return PaintedMesh(name, mesh, colours)
    values = mesh.data.get(paint.array)
    if values is None or values.ndim != 1:
        known = ", ".join(sorted(k for k, v in mesh.data.items() if v.ndim == 1)) or "none"
        raise InputError(f"{name}: has no array {paint.array} to colour by; it has {known}")
    if values.dtype.kind in "iub" and any(part in paint.array for part in BY_NUMBER) and not paint.colours:
        return PaintedMesh(name, mesh, by_number(values))
    suited = suited_colouring(paint.array, values)
    colouring = Colouring(paint.array, paint.limits or suited.limits, paint.colours or suited.map_name)
    try:
        return PaintedMesh(name, mesh, by_value(values, colouring), colouring)
    except KeyError:
        raise InputError(
            f"--colours {paint.colours}: no colour map of matplotlib; viridis, magma and RdBu_r are some"
        ) from None


def write_obj(path: Path, painted: PaintedMesh) -> None:
    """Write OBJ in Å with colours at the vertices, and beside it its material (.mtl).

    Where colours follow an array, the material is a strip of the colour map (.png) that the texture
    coordinates point into: programs that read no colours of vertices take that.
    """
    mesh, colouring = painted.mesh, painted.colouring
    material, strip = path.with_suffix(".mtl"), path.with_suffix(".png")
    normals = _normals(mesh)
    lines = [f"# {painted.name}, in Å", f"mtllib {material.name}", f"o {painted.name.replace(' ', '_')}"]
    lines += [f"usemtl {_material_name(painted)}"]
    places = mesh.vertices * ANGSTROM_PER_NM
    lines += _rows("v", "%.4f", 3, "%.4f", 3, np.hstack([places, painted.colours / 255.0]))
    lines += _rows(
        "vt", "%.5f", 2, "", 0, np.column_stack([_along_strip(painted), np.full(len(places), 0.5)])
    )
    lines += _rows("vn", "%.4f", 3, "", 0, normals)
    lines += ["f " + " ".join(f"{v}/{v}/{v}" for v in face) for face in (mesh.faces + 1).tolist()]
    colour = " ".join(f"{part:.4f}" for part in np.array(painted.colours[:1].mean(axis=0) / 255.0))
    told = [f"newmtl {_material_name(painted)}", "Ka 0 0 0", "Ks 0 0 0", "d 1", "illum 1"]
    told += ["Kd 1 1 1", f"map_Kd {strip.name}"] if colouring else [f"Kd {colour}"]
    files = (strip, material, path) if colouring else (material, path)
    with written_together(*files) as beside:
        if colouring:
            beside[0].write_bytes(_strip_png(colouring))
        beside[-2].write_text("\n".join(told) + "\n", encoding="utf-8")
        beside[-1].write_text("\n".join(lines) + "\n", encoding="utf-8")


def _rows(kind: str, first: str, count: int, second: str, more: int, values: Floats) -> list[str]:
    form = " ".join([kind, *[first] * count, *[second] * more])
    return [form % tuple(row) for row in values.tolist()]


def _material_name(painted: PaintedMesh) -> str:
    return painted.colouring.name if painted.colouring else "surface"


def _along_strip(painted: PaintedMesh) -> Floats:
    """Where in the strip of colours (0 to 1) each vertex (n,) lies."""
    if painted.colouring is None:
        return np.zeros(len(painted.colours))
    low, high = painted.colouring.limits
    values = painted.mesh.data[painted.colouring.name].astype(np.float64)
    return np.nan_to_num(np.clip((values - low) / max(high - low, 1e-300), 0.0, 1.0))


def _strip_png(colouring: Colouring) -> bytes:
    import io

    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(np.tile(table_of(colouring.map_name)[None], (8, 1, 1))).save(file, format="PNG")
    return file.getvalue()


def write_ply(path: Path, painted: PaintedMesh) -> None:
    """Write PLY in nm with colours at the vertices."""
    poly = to_polydata(SurfaceMesh(painted.mesh.vertices, painted.mesh.faces, _normals(painted.mesh)))
    poly.point_data["colours"] = painted.colours
    write_polydata(path, poly, colours="colours")


def write_glb(path: Path, parts: Sequence[PaintedMesh], convention: GltfConvention = STANDARD) -> None:
    """Write meshes as one scene of glTF 2.0 in one file, a node a mesh, with colours at the vertices."""
    body = bytearray()
    document = _document()
    for part in parts:
        document["nodes"].append(_node(part.name, len(document["meshes"]), convention))
        places = part.mesh.vertices * convention.units_per_nm
        colours = part.colours / 255.0
        if convention.linear:
            colours = _linear(colours)
        attributes = {
            "POSITION": _stored(document, body, places.astype("<f4"), FLOAT),
            "NORMAL": _stored(document, body, _normals(part.mesh).astype("<f4"), FLOAT),
            "COLOR_0": _stored(
                document, body, np.column_stack([colours, np.ones(len(colours))]).astype("<f4"), FLOAT
            ),
        }
        corners = _stored(document, body, part.mesh.faces.ravel().astype("<u4"), WHOLE)
        primitive = {"attributes": attributes, "indices": corners, "mode": 4, "material": 0}
        document["meshes"].append({"name": part.name, "primitives": [primitive]})
    document["scenes"] = [{"nodes": list(range(len(parts)))}]
    document["buffers"] = [{"byteLength": len(body)}]
    head = json.dumps(document).encode()
    head += b" " * (-len(head) % 4)
    with written_beside(path) as beside:
        beside.write_bytes(
            struct.pack("<4sII", b"glTF", 2, 28 + len(head) + len(body))
            + struct.pack("<I4s", len(head), b"JSON")
            + head
            + struct.pack("<I4s", len(body), b"BIN\0")
            + body
        )


def _document() -> dict[str, Any]:
    look = {"metallicFactor": 0.0, "roughnessFactor": 0.8}
    return {
        "asset": {"version": "2.0", "generator": GENERATOR},
        "scene": 0,
        "nodes": [],
        "meshes": [],
        "accessors": [],
        "bufferViews": [],
        "materials": [{"pbrMetallicRoughness": look, "doubleSided": True}],
    }


def _node(name: str, mesh: int, convention: GltfConvention) -> dict[str, Any]:
    """A mesh's place in the scene; turned so that what is up in the tomogram (z) is up in glTF (y)."""
    node: dict[str, Any] = {"name": name, "mesh": mesh}
    if not convention.z_is_up:
        node["matrix"] = Z_UP
    return node


def _stored(document: dict[str, Any], body: bytearray, values: NDArray[Any], kind: int) -> int:
    """Add an array to the body (all are of 4 bytes, so that each begins at a multiple of 4); its number."""
    view = {"buffer": 0, "byteOffset": len(body), "byteLength": values.nbytes}
    view["target"] = OF_CORNERS if kind == WHOLE else OF_VERTICES
    told: dict[str, Any] = {"bufferView": len(document["bufferViews"]), "componentType": kind}
    told |= {"count": len(values), "type": "SCALAR" if values.ndim == 1 else f"VEC{values.shape[1]}"}
    if values.ndim == 2:
        told |= {"min": values.min(axis=0).tolist(), "max": values.max(axis=0).tolist()}
    document["bufferViews"].append(view)
    document["accessors"].append(told)
    body += values.tobytes()
    return len(document["accessors"]) - 1


def _linear(srgb: Floats) -> Floats:
    """Colours 0–1 of a screen (sRGB, IEC 61966-2-1) as shares of light."""
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def _normals(mesh: SurfaceMesh) -> Floats:
    """Unit normals (n, 3), from the winding where the mesh has none or one of no length."""
    found = vertex_normals(mesh.vertices, mesh.faces) if mesh.normals is None else mesh.normals
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    return np.where(lengths > 0, found / np.where(lengths > 0, lengths, 1.0), [0.0, 0.0, 1.0])
