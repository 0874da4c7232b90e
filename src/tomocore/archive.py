"""NumPy archives (``.npz``) read member by member, each checked before any memory is taken for it.

What an archive says of its arrays must fit into the file and into the memory that is free; nothing in it is
ever unpickled.
"""

from __future__ import annotations

import math
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tomocore.contract import InputError
from tomocore.machine import available_memory_bytes

PLAIN_KINDS = "iufbU"
MOST_MEMBERS = 1000
MOST_DEFLATED = 1032  # times that deflate can shrink anything
MOST_HEADER_BYTES = 10_000
LAST_LETTER = 0x10FFFF
_DAMAGES = (
    OSError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    EOFError,
    OverflowError,
    RecursionError,
    SyntaxError,
    NotImplementedError,
    RuntimeError,
    UnicodeError,
    MemoryError,
    SystemError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


class Archive:
    """An open ``.npz``: the names of its arrays, their shapes and types, and the arrays one by one."""

    def __init__(self, path: Path, file: zipfile.ZipFile) -> None:
        self.path = path
        self._file = file
        self._size = path.stat().st_size
        infos = file.infolist()
        if len(infos) > MOST_MEMBERS:
            raise ValueError(f"it holds {len(infos)} members")
        self._members = {info.filename.removesuffix(".npy"): info for info in infos}

    @property
    def names(self) -> list[str]:
        """The names of its arrays."""
        return list(self._members)

    def shape_and_type(self, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
        """What an array will be, read from its head alone."""
        with self._refused(f"its array {name}"), self._file.open(self._members[name]) as member:
            shape, _, dtype = _head(member)
        return shape, dtype

    def array(self, name: str) -> NDArray[Any]:
        """One array of numbers or of texts. Raises InputError where it is damaged or larger than memory."""
        info = self._members[name]
        with self._refused(f"its array {name}"):
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ValueError("it is packed in a way that NumPy does not use")
            with self._file.open(info) as member:
                shape, fortran, dtype = _head(member)
                length = math.prod(shape) * dtype.itemsize
                self._require_room(name, length, info)
                raw = member.read(length + 1)
            if len(raw) != length:
                raise ValueError(f"{len(raw):,} bytes where its head promises {length:,}")
            data = np.frombuffer(raw, dtype) if raw else np.empty(0, dtype)
            data = data.reshape(shape, order="F" if fortran else "C")
            if dtype.kind == "U":
                _require_letters(data)
            return data.astype(dtype.newbyteorder("="), order="C")

    def _require_room(self, name: str, length: int, info: zipfile.ZipInfo) -> None:
        if length > info.file_size or length > MOST_DEFLATED * self._size:
            raise ValueError(f"its head promises {length:,} bytes and there cannot be as many")
        free = available_memory_bytes()
        if 2 * length > free:
            raise InputError(
                f"{self.path}: its array {name} needs {2 * length / 2**30:.1f} GiB and "
                f"{free / 2**30:.1f} GiB are free; use a machine with more memory"
            )

    @contextmanager
    def _refused(self, what: str) -> Iterator[None]:
        try:
            yield
        except InputError:
            raise
        except _DAMAGES as error:
            said = " ".join(str(error).split())[:200] or type(error).__name__
            raise InputError(f"{self.path}: {what} cannot be read ({said}); write it again") from error


def _head(member: Any) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, order and type of an array, from the first bytes of its file; ValueError where they are none."""
    version = np.lib.format.read_magic(member)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(
        (int(version[0]), int(version[1]))
    )
    if read is None:
        raise ValueError(f"its version {version} is not known")
    shape, fortran, dtype = read(member, max_header_size=MOST_HEADER_BYTES)
    if any(n < 0 for n in shape):
        raise ValueError(f"its shape {shape} is none")
    if dtype.kind not in PLAIN_KINDS or dtype.itemsize == 0:
        raise ValueError(f"it is of type {dtype}, neither numbers nor text")
    return shape, fortran, dtype


def _require_letters(data: NDArray[Any]) -> None:
    """ValueError where a text holds numbers that are no letters, which NumPy cannot make a string of."""
    codes = data.astype(data.dtype.newbyteorder("="), order="C").reshape(-1).view(np.uint32)
    if codes.size and (codes.max() > LAST_LETTER or ((codes >= 0xD800) & (codes < 0xE000)).any()):
        raise ValueError("it holds letters that do not exist")


@contextmanager
def opened_archive(path: Path, what: str) -> Iterator[Archive]:
    """An ``.npz`` file to read arrays from; InputError, "not a readable {what}", where it is none."""
    try:
        file = zipfile.ZipFile(path)
        archive = Archive(path, file)
    except _DAMAGES as error:
        said = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"{path}: not a readable {what} ({said}); write it again") from error
    with file:
        yield archive
