"""The run record: what ran on what, with which settings and versions, how long, and what it warned of."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import logging
import platform
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import Field

from tomocore.contract import with_subject
from tomocore.files import written_beside
from tomocore.settings import Settings
from tomocore.side_files import StoredRow, read_json

VERSIONED = ("tomorois-surfora", "numpy", "scipy", "numba", "open3d-cpu", "open3d", "vtk", "torch")
PACKAGES = ("tomocore", "tomorois", "surfora", "tomosurf")


@dataclass
class RunRecord:
    """Provenance of one run; ``id`` is written into every file that the run makes."""

    tool: str
    command: str
    started: str
    id: str
    inputs: list[dict[str, Any]] = field(default_factory=list)
    outputs: dict[str, str] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    stages: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    machine: str = ""
    seconds: float = 0.0

    def add_input(self, path: Path, **facts: Any) -> None:
        """Note an input file with its size and hash, and what else is known of it (voxel size, shape)."""
        size = path.stat().st_size if path.is_file() else 0
        self.inputs.append({"path": str(path), "bytes": size, "sha256": file_hash(path), **facts})

    def add_outputs(self, paths: Iterable[Path]) -> None:
        """Note the files that the run left in its folder, by name with their hashes."""
        self.outputs |= {path.name: file_hash(path) for path in paths}

    @contextmanager
    def stage(self, name: str, of: str = "") -> Iterator[dict[str, Any]]:
        """Time one stage; the yielded dictionary takes counts worth keeping."""
        entry: dict[str, Any] = {"stage": name, "of": of}
        start = time.perf_counter()
        try:
            yield entry
        finally:
            entry["seconds"] = round(time.perf_counter() - start, 3)
            self.stages.append(entry)

    def take_in(self, part: RunRecord) -> None:
        """Add the stages, warnings and failures of a part of the run that another process did."""
        self.stages += part.stages
        self.add_warnings(part.warnings)
        self.failures |= part.failures

    def add_warnings(self, texts: Iterable[str]) -> None:
        """Add warnings given elsewhere, each once."""
        self.warnings += [text for text in dict.fromkeys(texts) if text not in self.warnings]

    def write(self, path: Path) -> None:
        """Write the record as JSON, beside its name and renamed."""
        with written_beside(path) as beside:
            beside.write_text(json.dumps(asdict(self), indent=2, default=str) + "\n", encoding="utf-8")


class _WarningKeeper(logging.Handler):
    """Keeps each different warning of a run once, in order."""

    def __init__(self, kept: list[str]) -> None:
        super().__init__(logging.WARNING)
        self.addFilter(with_subject)
        self.kept = kept

    def emit(self, record: logging.LogRecord) -> None:
        message = " ".join(record.getMessage().split())
        if message not in self.kept:
            self.kept.append(message)


@contextmanager
def recorded_run(tool: str, settings: Settings | None = None) -> Iterator[RunRecord]:
    """Yield the record of the run inside: its warnings are kept as they are logged, its time is taken."""
    now = datetime.now(UTC)
    command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])
    identity = hashlib.sha256(f"{now.isoformat()} {command}".encode()).hexdigest()[:12]
    record = RunRecord(tool, command, now.isoformat(timespec="seconds"), identity)
    record.settings = settings.model_dump(mode="json") if settings else {}
    record.versions = {"python": platform.python_version(), **_versions()}
    record.machine = f"{platform.system()} {platform.machine()}"
    keeper = _WarningKeeper(record.warnings)
    loggers = [logging.getLogger(name) for name in PACKAGES]
    for logger in loggers:
        logger.addHandler(keeper)
    start = time.perf_counter()
    try:
        yield record
    finally:
        record.seconds = round(time.perf_counter() - start, 3)
        for logger in loggers:
            logger.removeHandler(keeper)


class StoredInput(StoredRow):
    """An input file in a record that was read."""

    path: str
    bytes: int = 0
    sha256: str = ""
    voxel_size_nm: float | None = None
    role: str = ""


class StoredStage(StoredRow):
    """A stage in a record that was read."""

    stage: str
    seconds: float = Field(0.0, ge=0, le=1e9)


class StoredRecord(StoredRow):
    """What a run.json must hold to be shown: `RunRecord` with its types, more keys let be."""

    tool: str = ""
    command: str = ""
    started: datetime
    id: str
    inputs: list[StoredInput] = Field(default_factory=list)
    outputs: dict[str, str] = Field(default_factory=dict)
    settings: dict[str, Any] = Field(default_factory=dict)
    stages: list[StoredStage] = Field(default_factory=list)
    warnings: list[str] = Field(default_factory=list)
    failures: dict[str, str] = Field(default_factory=dict)
    versions: dict[str, str] = Field(default_factory=dict)
    machine: str = ""
    seconds: float = Field(0.0, ge=0, le=1e9)


def read_record(path: Path) -> dict[str, Any] | None:
    """The record in a run.json with `StoredRecord`'s types, ``started`` as text; None where there is no file.

    Raises InputError where there is one that is damaged.
    """
    try:
        record: StoredRecord = read_json(path, StoredRecord, "run again with --overwrite")
    except FileNotFoundError:
        return None
    return {**record.model_dump(), "started": record.started.isoformat(timespec="seconds")}


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes (of every file's, in order of name, for a folder), in hexadecimal.

    Of what lies within a file (``cell.h5/labels/er``) it is that of the file.
    """
    digest = hashlib.sha256()
    path = path if path.exists() else next((p for p in path.parents if p.is_file()), path)
    parts = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    for part in parts:
        with part.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _versions() -> dict[str, str]:
    found = {}
    for name in VERSIONED:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
