"""GLB files of our own, which tell by their nodes how they count; those of others do not."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

from surfora.geometry.arrays import Floats

GENERATOR = "surfora"
Z_UP = [1, 0, 0, 0, 0, 0, -1, 0, 0, 1, 0, 0, 0, 0, 0, 1]
"""Matrix, column after column, of a node that turns what is up in the tomogram (z) up in glTF (y)."""
MOST_HEAD_BYTES = 2**24


def is_our_scene(path: Path) -> bool:
    """Whether a GLB is a scene of `surfora export`, in nm with y up, not one for ChimeraX or of others."""
    with path.open("rb") as file:
        start = file.read(20)
        if len(start) < 20 or start[:4] != b"glTF" or start[16:20] != b"JSON":
            return False
        length = struct.unpack_from("<I", start, 12)[0]
        head = file.read(min(length, MOST_HEAD_BYTES))
    try:
        found: Any = json.loads(head)
        nodes = found["nodes"]
        return bool(
            found["asset"]["generator"] == GENERATOR and nodes and all(n["matrix"] == Z_UP for n in nodes)
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return False


def as_in_tomogram(places: Floats) -> Floats:
    """Places (n, 3) of such a scene, turned back so that z is up."""
    return np.stack([places[:, 0], -places[:, 2], places[:, 1]], axis=1)
