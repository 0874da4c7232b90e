"""VTP files in each of VTK's encodings are read as VTK reads them, and hostile ones refused at once."""

import struct
import time

import numpy as np
import pytest
import pyvista as pv
from vtkmodules.vtkIOXML import vtkXMLPolyDataWriter

from surfora.geometry.files import read_facts, read_surface
from surfora.geometry.repair import Told
from surfora.geometry.stored import polydata_of
from surfora.geometry.vtp import NotPlain, read_vtp
from tomocore.contract import InputError


@pytest.fixture(scope="module")
def sphere():
    mesh = (
        pv.Sphere(radius=20, theta_resolution=9, phi_resolution=8)
        .cast_to_unstructured_grid()
        .extract_surface()
    )
    rng = np.random.default_rng(1)
    mesh.clear_data()
    mesh.point_data["mean_curvature_per_nm"] = rng.normal(size=mesh.n_points)
    mesh.point_data["A&B <µ>"] = rng.normal(size=(mesh.n_points, 3)).astype(np.float32)
    mesh.point_data["rim"] = rng.integers(0, 2, mesh.n_points).astype(np.uint8)
    mesh.cell_data["id"] = np.arange(mesh.n_cells)
    mesh.add_field_data(["nm"], "units")
    mesh.add_field_data(["first & <second>", "third"], "texts")
    return mesh


def written(mesh, path, mode, packer, bits, order="LittleEndian", encode=False):
    writer = vtkXMLPolyDataWriter()
    writer.SetInputData(mesh)
    writer.SetFileName(str(path))
    getattr(writer, f"SetDataModeTo{mode}")()
    getattr(writer, f"SetCompressorTypeTo{packer}")()
    getattr(writer, f"SetHeaderTypeToUInt{bits}")()
    getattr(writer, f"SetByteOrderTo{order}")()
    writer.SetEncodeAppendedData(encode)
    writer.SetBlockSize(64)  # many blocks
    assert writer.Write()
    return path


def escaped(mesh):
    """VTK writes names as they are, so that only escaped ones make XML."""
    copy = mesh.copy()
    for data in (copy.GetPointData(),):
        for at in range(data.GetNumberOfArrays()):
            array = data.GetAbstractArray(at)
            array.SetName(array.GetName().replace("&", "&amp;").replace("<", "&lt;"))
    return copy


@pytest.mark.parametrize("order", ["LittleEndian", "BigEndian"])
@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("packer", ["None", "ZLib", "LZMA"])
@pytest.mark.parametrize(
    ("mode", "encode"), [("Ascii", False), ("Binary", False), ("Appended", True), ("Appended", False)]
)
def test_every_encoding_gives_what_was_written(tmp_path, sphere, mode, encode, packer, bits, order):
    path = written(escaped(sphere), tmp_path / "a.vtp", mode, packer, bits, order, encode)
    poly = polydata_of(read_vtp(path), Told())
    close = 1e-5 if mode == "Ascii" else 0.0
    np.testing.assert_allclose(poly.points, sphere.points, atol=close)
    np.testing.assert_array_equal(poly.regular_faces, sphere.regular_faces)
    for name in sphere.point_data:
        np.testing.assert_allclose(poly.point_data[name], sphere.point_data[name], atol=close)
        assert poly.point_data[name].dtype == sphere.point_data[name].dtype
    np.testing.assert_array_equal(poly.cell_data["id"], sphere.cell_data["id"])
    assert poly.field_data["texts"][0] == "first & <second>"
    assert list(poly.field_data["units"]) == ["nm"]


def test_what_only_vtk_understands_is_read_by_it(tmp_path, sphere):
    packed = written(escaped(sphere), tmp_path / "lz4.vtp", "Appended", "LZ4", 32)
    with pytest.raises(NotPlain):
        read_vtp(packed)
    mesh = read_surface(packed)
    assert len(mesh.faces) == sphere.n_cells
    np.testing.assert_allclose(np.sort(mesh.vertices, axis=0), np.sort(sphere.points, axis=0), atol=1e-5)
    assert read_facts(packed) is None


HEAD = (
    '<VTKFile type="PolyData" version="1.0" byte_order="LittleEndian" header_type="UInt64"{more}>'
    '<PolyData><Piece NumberOfPoints="{points}" NumberOfPolys="{polys}"><Points>'
    '<DataArray type="Float32" NumberOfComponents="3" format="appended" offset="0"/></Points><Polys>'
    '<DataArray type="Int64" Name="connectivity" format="ascii">{corners}</DataArray>'
    '<DataArray type="Int64" Name="offsets" format="ascii">{offsets}</DataArray></Polys></Piece></PolyData>'
    '<AppendedData encoding="raw">_'
)
TAIL = b"</AppendedData></VTKFile>"


def handmade(
    points=3, polys=1, corners="0 1 2", offsets="3", more="", body=struct.pack("<Q9f", 36, *range(9))
):
    head = HEAD.format(points=points, polys=polys, corners=corners, offsets=offsets, more=more)
    return head.encode() + body + TAIL


PACKED = ' compressor="vtkZLibDataCompressor"'


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (handmade(corners="0 1 3"), "use point 3, and there are 3"),
        (handmade(corners="0 1 -9"), "use point -9"),
        (handmade(offsets="4"), "do not fit together"),
        (handmade(offsets="-3"), "do not fit together"),
        (handmade(polys=2, offsets="3 2", corners="0 1"), "do not fit together"),
        (handmade(points=2**31 - 1), "values and should have"),
        (handmade(points="-1"), "no count"),
        (handmade(points="9" * 5000), "no count"),
        (handmade(points="abc"), "no count"),
        (handmade(body=struct.pack("<Q9f", 2**62, *range(9))), "bytes are promised"),
        (handmade(more=PACKED, body=struct.pack("<4Q", 2**40, 2**40, 0, 8)), "bytes are promised"),
        (handmade(more=PACKED, body=struct.pack("<4Q8x", 1, 2**60, 0, 8)), "belong"),
        (handmade(more=PACKED, body=struct.pack("<4Q8x", 1, 36, 0, 8)), "cannot be read"),
        (handmade(corners="9" * 5000 + " 1 2"), "cannot be read"),
        (b"<VTKFile type='PolyData'>" + b"<a>" * 300_000, "nested too deeply"),
        (b"<VTKFile type='PolyData'>" + b"<a/>" * 300_000, "too many elements"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><VTKFile type="PolyData">&b;</VTKFile>', "document type"),
        (b"", "cannot be read"),
        (b"\x00" * 100, "cannot be read"),
    ],
)  # fmt: skip
def test_hostile_files_are_refused_at_once(tmp_path, raw, told):
    path = tmp_path / "a.vtp"
    path.write_bytes(raw)
    start = time.perf_counter()
    with pytest.raises(InputError, match=rf"a\.vtp: .*{told}") as refused:
        read_surface(path)
    assert time.perf_counter() - start < 2
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 500


def test_the_handmade_file_is_sound_but_for_what_the_cases_change(tmp_path):
    (tmp_path / "a.vtp").write_bytes(handmade())
    assert read_surface(tmp_path / "a.vtp").faces.tolist() == [[0, 1, 2]]
