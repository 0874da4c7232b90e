"""Amira lattices: text, binary in either byte order, packed; their bounding box and its unit."""

import zlib

import numpy as np
import pytest

from tomocore.contract import InputError
from tomocore.volumes.formats import inspect_volume, read_volume
from tomocore.volumes.lazy import StoredArray

LABELS = np.zeros((4, 5, 6), np.uint8)
LABELS[1:3, 1:4, 2:5], LABELS[3, 0, :4] = 2, (1, 200, 3, 200)
BOX = "10 20 30 38 -6 0"  # x, y, z: edges of 2 between the centres of 6, 5 and 4 voxels
UNIT = 'Units { Coordinates "nm" }'


def packed_runs(raw):
    """HxByteRLE: runs, and single bytes as literals in turns."""
    out, at = bytearray(), 0
    while at < len(raw):
        run = 1
        while at + run < len(raw) and raw[at + run] == raw[at] and run < 127:
            run += 1
        out += bytes([run, raw[at]]) if run > 1 else bytes([0x81, raw[at]])
        at += run
    return bytes(out)


def amira(path, data=LABELS, kind="byte", form="BINARY-LITTLE-ENDIAN 2.1", packing="", unit=UNIT, box=BOX):
    order = "<" if "LITTLE" in form else ">"
    raw = data.astype(data.dtype.newbyteorder(order)).tobytes()
    if "ASCII" in form:
        raw = "\n".join(str(value) for value in data.ravel()).encode()
    raw = {"": raw, "HxByteRLE": packed_runs(raw), "HxZip": zlib.compress(raw)}[packing]
    z, y, x = data.shape
    told = f"({packing},{len(raw)})" if packing else ""
    head = f"""# AmiraMesh {form}\n\n
define Lattice {x} {y} {z}

Parameters {{
    {unit}
    Materials {{ Exterior {{ Id 1 }} Membrane {{ Id 2, Color 0 1 0 }} }}
    Content "{x}x{y}x{z} {kind}, uniform coordinates",
    BoundingBox {box},
    CoordType "uniform"
}}

Lattice {{ {kind} Labels }} @1{told}

# Data section follows
@1
"""
    path.write_bytes(head.encode() + raw + b"\n")
    return path


@pytest.mark.parametrize(
    ("form", "packing"),
    [
        ("BINARY-LITTLE-ENDIAN 2.1", ""),
        ("BINARY-LITTLE-ENDIAN 2.1", "HxByteRLE"),
        ("BINARY-LITTLE-ENDIAN 3.0", "HxZip"),
        ("3D ASCII 2.0", ""),
        ("BINARY 2.0", "HxByteRLE"),
    ],
)
def test_labels_are_read_with_their_size_and_place(tmp_path, form, packing):
    volume = read_volume(amira(tmp_path / "a.am", form=form, packing=packing))
    np.testing.assert_array_equal(volume.data, LABELS)
    assert volume.voxel_size_nm == 2.0
    assert volume.origin_nm == (10.0, 30.0, -6.0)


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [("short", np.int16), ("ushort", np.uint16), ("int", np.int32), ("float", np.float32), ("double", float)],
)
@pytest.mark.parametrize("form", ["BINARY-LITTLE-ENDIAN 2.1", "BINARY 2.0", "3D ASCII 2.0"])
def test_grey_values_of_every_type(tmp_path, kind, dtype, form):
    data = (LABELS * 37.0 - (1000 if kind != "ushort" else 0)).astype(dtype)
    path = amira(tmp_path / "a.am", data, kind, form)
    np.testing.assert_array_equal(read_volume(path).data, data)
    assert isinstance(read_volume(path, lazy=True).data, StoredArray) == ("BINARY" in form)


def test_a_long_run_and_a_long_literal(tmp_path):
    data = np.zeros((3, 20, 30), np.uint8)
    data[1] = np.random.default_rng(0).integers(0, 255, (20, 30))
    np.testing.assert_array_equal(
        read_volume(amira(tmp_path / "a.am", data, packing="HxByteRLE", unit=""), 1).data, data
    )


@pytest.mark.parametrize(("unit", "edge"), [("Å", 0.2), ("angstrom", 0.2), ("nm", 2.0), ("µm", 2000.0)])
def test_the_unit_of_coordinates_counts(tmp_path, unit, edge):
    path = amira(tmp_path / "a.am", unit=f'Units {{\n Coordinates "{unit}"\n }}')
    assert inspect_volume(path).voxel_size_nm == pytest.approx((edge,) * 3)


def test_a_box_without_a_unit_is_told_and_not_believed(tmp_path):
    path = amira(tmp_path / "a.am", unit="")
    with pytest.raises(InputError, match=r"no unit of length \(its bounding box has voxels of 2 × 2 × 2\)"):
        read_volume(path)
    volume = read_volume(path, 1.0)
    assert (volume.voxel_size_nm, volume.origin_nm) == (1.0, (5.0, 15.0, -3.0))


def test_what_is_no_lattice_of_numbers_is_refused_in_words(tmp_path):
    def changed(name, old, new):
        path = amira(tmp_path / name, packing="HxByteRLE", unit="")
        path.write_bytes(path.read_bytes().replace(old, new))
        return path

    for path, reason in (
        (changed("a.am", b"# AmiraMesh", b"# HyperSurf"), "not an Amira file"),
        (changed("b.am", b"define Lattice", b"define Nodes"), "no regular lattice"),
        (changed("c.am", b"{ byte Labels", b"{ float[3] Labels"), "no single numbers"),
        (changed("d.am", b"HxByteRLE", b"HxOther"), "packing HxOther is not read"),
        (changed("e.am", b'CoordType "uniform"', b'CoordType "stacked"'), "stacked coordinates"),
        (changed("f.am", b"define Lattice 6 5 4", b"define Lattice 6 5 9"), "truncated.*270.*120"),
    ):
        with pytest.raises(InputError, match=rf"{path.name}: .*{reason}"):
            read_volume(path, 1.0)
