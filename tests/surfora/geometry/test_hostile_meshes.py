"""Meshes of other programs that end VTK's readers are refused in one line, and the process lives on."""

import struct
import time

import numpy as np
import pytest
import pyvista as pv

from surfora.geometry.files import read_surface
from tomocore.contract import InputError

PLY = """ply
format {form} 1.0
element vertex {points}
property float x
property float y
property float z
element face {faces}
property list uchar int vertex_indices
end_header
"""
POINTS = "0 0 0\n9 0 0\n0 9 0\n0 0 9\n"
FACES = "3 0 2 1\n3 0 1 3\n3 0 3 2\n3 1 2 3\n"


def ply(points=4, faces=4, body=POINTS + FACES, form="ascii"):
    body = body if isinstance(body, bytes) else body.encode()
    return PLY.format(points=points, faces=faces, form=form).encode() + body


def binary_ply(corners=((0, 2, 1), (0, 1, 3), (0, 3, 2), (1, 2, 3)), **counts):
    points = struct.pack("<12f", *map(float, POINTS.split()))
    triangles = b"".join(struct.pack("<B3i", 3, *three) for three in corners)
    return ply(body=points + triangles, form="binary_little_endian", **counts)


def stl(count=1, triangles=1):
    return b"\0" * 80 + struct.pack("<I", count) + struct.pack("<12f2x", *range(12)) * triangles


def legacy(points="POINTS 4 float", cells="POLYGONS 4 16"):
    return (
        f"# vtk DataFile Version 3.0\na\nASCII\nDATASET POLYDATA\n{points}\n{POINTS}{cells}\n{FACES}".encode()
    )


OBJ = "".join(f"v {line}\n" for line in POINTS.splitlines()) + "f 1 3 2\nf 1 2 4\nf 1 4 3\nf 2 3 4\n"
SOUND = {
    "a.ply": ply(),
    "b.ply": binary_ply(),
    "a.obj": OBJ.encode(),
    "a.vtk": legacy(),
}


@pytest.mark.parametrize("name", SOUND)
def test_the_sound_ones_are_read(tmp_path, name):
    (tmp_path / name).write_bytes(SOUND[name])
    mesh = read_surface(tmp_path / name)
    assert (len(mesh.vertices), len(mesh.faces)) == (4, 4)
    assert mesh.is_closed


HOSTILE = {
    "negative.ply": ply(points=-1),
    "huge.ply": binary_ply(points=2**31 - 1),
    "huge_faces.ply": binary_ply(faces=2**31 - 1),
    "digits.ply": ply(points="9" * 5000),
    "cut.ply": binary_ply()[:-20],
    "cut_ascii.ply": ply()[:-30],
    "headless.ply": b"ply\nformat ascii 1.0\n",
    "corner.ply": ply(body=POINTS + FACES.replace("3 1 2 3", "3 1 2 4")),
    "negative_corner.ply": binary_ply(corners=((0, 2, 1), (0, 1, -9), (0, 3, 2), (1, 2, 3))),
    "far_corner.ply": binary_ply(corners=((0, 2, 1), (0, 1, 2**30), (0, 3, 2), (1, 2, 3))),
    "corner.obj": OBJ.replace("f 2 3 4", "f 2 3 5").encode(),
    "far_corner.obj": OBJ.replace("f 2 3 4", "f 2 3 99999999").encode(),
    "negative_corner.obj": OBJ.replace("f 2 3 4", "f 2 3 -99999").encode(),
    "cut.stl": stl(count=5)[:-10],
    "huge.vtk": legacy(points="POINTS 2000000000 double"),
    "negative.vtk": legacy(points="POINTS -4 float"),
    "huge_cells.vtk": legacy(cells="POLYGONS 2000000000 2000000000"),
    "corner.vtk": legacy().replace(b"3 1 2 3", b"3 1 2 9"),
    "deep.vtu": b'<VTKFile type="UnstructuredGrid">' + b"<a>" * 100_000,
    "text.ply": b"ply",
    "text.obj": b"\0" * 50,
    "text.vtk": b"# vtk",
    "text.vtu": b"<",
    "text.glb": b"glTF",
    "cut.glb": b"glTF" + (2).to_bytes(4, "little") + (2**31).to_bytes(4, "little") + b"\xff" * 64,
    "text.stl": b"solid",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_meshes_are_refused_in_one_line(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(HOSTILE[name])
    start = time.perf_counter()
    with pytest.raises(InputError, match=rf"{name}: ") as refused:
        read_surface(path)
    assert time.perf_counter() - start < 30
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("ending", [".ply", ".obj", ".stl", ".vtk"])
def test_vtk_in_a_process_of_its_own_gives_what_it_gives_here(tmp_path, ending):
    sphere = pv.Sphere(radius=30, theta_resolution=12, phi_resolution=9)
    path = tmp_path / f"a{ending}"
    sphere.save(path)
    there, here = read_surface(path, "nm"), pv.read(path)
    assert len(there.faces) == here.n_cells
    np.testing.assert_allclose(
        np.sort(there.vertices, axis=0), np.sort(np.asarray(here.points, float), axis=0), atol=1e-4
    )
