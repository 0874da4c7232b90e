"""Files of tensors (``.safetensors``), not mapped: one that gets shorter meanwhile ends no process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tomocore.contract import InputError
from tomocore.machine import available_memory_bytes
from tomocore.side_files import parsed_json, require_size

MOST_HEAD_BYTES = 100_000_000
"""What the library itself takes for a head at most."""


def tensor_metadata(path: Path, key: str, kind: Any, remedy: str) -> Any:
    """What the head of a file holds as JSON under ``key``, an empty object where there is none, as ``kind``.

    kind: any type that pydantic validates. Raises InputError that ends in the ``remedy`` where it is no such
    file, and OSError where it cannot be opened.
    """
    require_size(path, 2**63)
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= min(MOST_HEAD_BYTES, path.stat().st_size - 8):
            raise InputError(f"{path}: damaged or no .safetensors file (its head has no length); {remedy}")
        raw = file.read(length)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: damaged or no .safetensors file ({error}); {remedy}") from error
    head: dict[str, Any] = parsed_json(text, dict[str, Any], f"{path}: its head", remedy)
    told = head.get("__metadata__")
    value = told.get(key) if isinstance(told, dict) else None
    return parsed_json(value if isinstance(value, str) else "{}", kind, f"{path}: its header {key}", remedy)


def tensor_bytes(path: Path) -> bytes:
    """All bytes of a file. Raises InputError where memory does not hold them and the tensors besides."""
    require_size(path, available_memory_bytes() // 2)
    return path.read_bytes()
