"""Journals: files that only grow, a line of JSON for each thing a hand did, safe on the disk at once."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tomocore.contract import InputError
from tomocore.side_files import MOST_JSON_BYTES, require_size, said_by


@contextmanager
def replayed(path: Path) -> Iterator[None]:
    """Within it records of a journal that are none of its own raise an InputError that names the file."""
    try:
        yield
    except InputError as error:
        if str(path) in str(error):
            raise
        raise InputError(f"{path}: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        said = " ".join(str(error).split())[:200]
        raise InputError(
            f"{path}: a record of it is damaged ({type(error).__name__}: {said}); move the file away"
        ) from error


class Journal:
    """Appends records to a file, from any thread, and reads back what a process before this one left."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: Any = None
        self._lock = threading.Lock()

    def read(self, mend: bool = True) -> list[dict[str, Any]]:
        """All whole records. A line cut short by a crash is taken away; InputError for any other damage.

        Without ``mend`` the file stays as it is, since another process may be writing that line.
        """
        if not self.path.exists():
            return []
        require_size(self.path, MOST_JSON_BYTES)
        raw = self.path.read_bytes()
        whole = raw[: raw.rfind(b"\n") + 1]
        if mend and len(whole) < len(raw):
            os.truncate(self.path, len(whole))
        records = []
        for number, line in enumerate(whole.splitlines(), start=1):
            try:
                records.append(dict(json.loads(line)))
            except (ValueError, TypeError, RecursionError) as error:
                raise InputError(
                    f"{self.path}: line {number} is damaged ({said_by(error)}); delete it and all below it"
                ) from error
        return records

    def append(self, record: Mapping[str, Any]) -> None:
        """Write a record and wait until the disk has it."""
        line = json.dumps(record, separators=(",", ":")).encode() + b"\n"
        with self._lock:
            if self._file is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._file = self.path.open("ab")
            self._file.write(line)
            self._file.flush()
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Give the file back; a further record opens it again."""
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None
