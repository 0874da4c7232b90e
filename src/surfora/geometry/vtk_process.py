"""What VTK reads from a file, in a process of its own: its readers end theirs on files that are damaged.

This file is also the script that the process runs; it imports nothing of ours.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

SECONDS = 60
SECONDS_PER_MB = 2.0
"""How long a file may take: far longer than VTK ever needs for one that is sound."""
FREE_BYTES = 2**30
BYTES_PER_BYTE = 60
"""Memory that VTK may take beyond what it has when loaded, for a file of no bytes and for each byte."""
SOLID_CELLS = range(10, 17)  # tetrahedra to hexagonal prisms, by VTK's numbers
LONGEST_TEXTS = 2**20


def read_in_process(path: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """What VTK makes of a file: facts, and arrays by name.

    Facts are ``kind`` (VTK's name of what was found), ``solids`` (cells with a volume, of which the outer
    faces are given) and ``texts`` (field data). Arrays are ``points``, ``offsets:KIND``, ``corners:KIND``
    (KIND as VTK's verts, lines, strips, polys), and ``point:``, ``cell:`` and ``field:`` data.
    Raises ValueError where VTK crashed, took too long or too much memory.
    """
    seconds = SECONDS + SECONDS_PER_MB * path.stat().st_size / 2**20
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-P", __file__, str(path.resolve()), str(int(seconds)), str(os.getpid())]
    try:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
            env=environment, timeout=seconds, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise ValueError(f"VTK did not come to an end with it in {seconds:.0f} s") from None
    if done.returncode:
        raise ValueError(
            "VTK crashed on it or wanted far more memory than it can fill; its counts or corners are wrong"
        )
    length = int.from_bytes(done.stdout[:8], "little")
    facts = json.loads(done.stdout[8 : 8 + length])
    arrays, at = {}, 8 + length
    for name, kind, shape in facts.pop("arrays"):
        dtype = np.dtype(kind)
        size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        arrays[name] = np.frombuffer(done.stdout, dtype, size // dtype.itemsize, at).reshape(shape)
        at += size
    if facts.get("refusal"):
        raise ValueError(facts["refusal"])
    return facts, arrays


def _main(path: str, seconds: int, parent: int) -> None:
    """Read a file and write what is in it to what was the standard output."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # VTK prints what it likes
    _end_with(parent)
    found = _read(path, seconds)
    facts, arrays = _contents(found)
    _write(out, facts, arrays)


def _end_with(parent: int) -> None:
    """Have the system end this process when its parent ends, where it can."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
        if os.getppid() != parent:
            sys.exit(1)


def _read(path: str, seconds: int) -> Any:
    """The data set in a file, with limits on memory and time."""
    from vtkmodules.vtkCommonCore import vtkObject
    from vtkmodules.vtkFiltersGeometry import vtkCompositeDataGeometryFilter
    from vtkmodules.vtkIOGeometry import vtkGLTFReader, vtkOBJReader, vtkSTLReader
    from vtkmodules.vtkIOLegacy import vtkDataSetReader
    from vtkmodules.vtkIOPLY import vtkPLYReader
    from vtkmodules.vtkIOXML import vtkXMLPolyDataReader, vtkXMLUnstructuredGridReader

    readers: dict[str, Any] = {
        ".ply": vtkPLYReader,
        ".obj": vtkOBJReader,
        ".stl": vtkSTLReader,
        ".vtk": vtkDataSetReader,
        ".vtp": vtkXMLPolyDataReader,
        ".vtu": vtkXMLUnstructuredGridReader,
        ".glb": vtkGLTFReader,
    }
    vtkObject.GlobalWarningDisplayOff()
    reader = readers[os.path.splitext(path)[1].lower()]()
    if isinstance(reader, vtkDataSetReader):
        for what in ("Scalars", "ColorScalars", "Normals", "TCoords", "Vectors", "Tensors", "Fields"):
            getattr(reader, f"ReadAll{what}On")()
    _limit(os.path.getsize(path), seconds)
    reader.SetFileName(path)
    reader.Update()
    if not isinstance(reader, vtkGLTFReader):
        return reader.GetOutput()
    scene = vtkCompositeDataGeometryFilter()  # its meshes where its nodes put them, as one
    scene.SetInputConnection(reader.GetOutputPort())
    scene.Update()
    return scene.GetOutput()


def _limit(file_bytes: int, seconds: int) -> None:
    if sys.platform == "win32":
        return
    import resource

    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    try:
        with open("/proc/self/statm") as statm:
            taken = int(statm.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return
    most = taken + FREE_BYTES + BYTES_PER_BYTE * file_bytes
    own = resource.getrlimit(resource.RLIMIT_AS)[1]
    if own == resource.RLIM_INFINITY or most < own:
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _contents(found: Any) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Facts and arrays of a data set, of an unstructured grid those of its surface."""
    from vtkmodules.util.numpy_support import vtk_to_numpy

    facts: dict[str, Any] = {"kind": "nothing" if found is None else found.GetClassName(), "solids": 0}
    facts["texts"] = {}
    arrays: dict[str, NDArray[Any]] = {}
    if facts["kind"] == "vtkUnstructuredGrid":
        from vtkmodules.vtkFiltersGeometry import vtkGeometryFilter

        refusal = _foreign_points(found)
        if refusal:
            return {**facts, "refusal": refusal}, arrays
        if found.GetNumberOfCells():
            kinds = vtk_to_numpy(
                found.GetCellTypes() if hasattr(found, "GetCellTypes") else found.GetCellTypesArray()
            )
            facts["solids"] = int(np.isin(kinds, list(SOLID_CELLS)).sum())
        surface = vtkGeometryFilter()
        surface.SetInputData(found)
        surface.Update()
        found, facts["kind"] = surface.GetOutput(), "vtkPolyData"
    if facts["kind"] != "vtkPolyData":
        return facts, arrays
    if found.GetNumberOfPoints():
        arrays["points"] = vtk_to_numpy(found.GetPoints().GetData())
    for kind in ("Verts", "Lines", "Strips", "Polys"):
        cells = getattr(found, f"Get{kind}")()
        if cells.GetNumberOfCells():
            arrays[f"offsets:{kind.lower()}"] = vtk_to_numpy(cells.GetOffsetsArray())
            arrays[f"corners:{kind.lower()}"] = vtk_to_numpy(cells.GetConnectivityArray())
    for what, data in (
        ("point", found.GetPointData()),
        ("cell", found.GetCellData()),
        ("field", found.GetFieldData()),
    ):
        for index in range(data.GetNumberOfArrays()):
            _keep(what, data.GetAbstractArray(index), facts, arrays)
    return facts, arrays


def _foreign_points(grid: Any) -> str:
    """What is wrong where cells of a grid use points that it does not have; else empty."""
    from vtkmodules.util.numpy_support import vtk_to_numpy

    corners = vtk_to_numpy(grid.GetCells().GetConnectivityArray()) if grid.GetNumberOfCells() else np.empty(0)
    if corners.size and (corners.min() < 0 or corners.max() >= grid.GetNumberOfPoints()):
        return f"its cells use points that are not among its {grid.GetNumberOfPoints():,}"
    return ""


def _keep(what: str, array: Any, facts: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> None:
    """Add an array of VTK to the arrays, or to the facts where it holds texts."""
    from vtkmodules.util.numpy_support import vtk_to_numpy

    name = array.GetName()
    if name is None:
        return
    if array.GetClassName() == "vtkStringArray":
        texts = [array.GetValue(at) for at in range(min(array.GetNumberOfValues(), 1000))]
        if what == "field" and sum(map(len, texts)) < LONGEST_TEXTS:
            facts["texts"][name] = texts
        return
    try:
        values = vtk_to_numpy(array)
    except (TypeError, AttributeError, ValueError):
        return
    if values.dtype.kind in "iuf":
        arrays[f"{what}:{name}"] = values


def _write(out: BinaryIO, facts: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> None:
    whole = {name: np.ascontiguousarray(values) for name, values in arrays.items()}
    facts["arrays"] = [(name, values.dtype.str, values.shape) for name, values in whole.items()]
    head = json.dumps(facts).encode()
    out.write(len(head).to_bytes(8, "little") + head)
    for values in whole.values():
        out.write(values.tobytes())
    out.close()


if __name__ == "__main__":
    _main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
    os._exit(0)  # VTK's own end may crash on what it could not read
