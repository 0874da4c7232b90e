"""A disk that fills up at the n-th write, to fail every write of a run in turn; without mounting one."""

import builtins
import errno
import io
import os
from pathlib import Path


class FillingDisk:
    """Counts what Python opens for writing and writes below a folder; from the n-th on nothing has room.

    The write that fills it up is done by half, as disks do. What libraries write in C it does not see.
    """

    def __init__(self, folder, monkeypatch, room=None):
        self.folder, self.room = str(Path(folder).absolute()), room
        self.count = 0
        monkeypatch.setattr(builtins, "open", self._open)
        monkeypatch.setattr(io, "open", self._open)

    def has_room(self):
        """Count one more, and tell whether it may go on."""
        self.count += 1
        return self.room is None or self.count <= self.room

    def _open(self, file, mode="r", buffering=-1, encoding=None, errors=None, newline=None, *fd):
        is_here = isinstance(file, int) or os.path.abspath(os.fspath(file)).startswith(self.folder)
        if not is_here or not set(mode) & set("wax+"):
            return _usual_open(file, mode, buffering, encoding, errors, newline, *fd)
        raw = _Raw(self, file, mode.replace("b", "").replace("t", ""), *fd)
        whole = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
        if "b" in mode:
            return raw if buffering == 0 else whole
        return io.TextIOWrapper(whole, encoding or "utf-8", errors, newline)


_usual_open = open


class _Raw(io.FileIO):
    def __init__(self, disk, file, mode, *fd):
        self.disk = disk
        if not disk.has_room():
            raise _full(file)
        super().__init__(file, mode, *fd)

    def write(self, data):
        if self.disk.has_room():
            return super().write(data)
        if self.disk.count == self.disk.room + 1:
            super().write(bytes(data)[: len(data) // 2])
        raise _full(self.name)


def _full(name):
    return OSError(
        errno.ENOSPC, os.strerror(errno.ENOSPC), None if isinstance(name, int) else os.fspath(name)
    )
