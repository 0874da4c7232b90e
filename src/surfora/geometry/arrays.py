"""The names that array types go by in all of surfora; shapes stand in the docstrings."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Mask: TypeAlias = NDArray[np.bool_]
"""Which voxels (z, y, x), points (n,) or triangles (m,) are meant."""
Bytes: TypeAlias = NDArray[np.uint8]
Grid32: TypeAlias = NDArray[np.float32]
"""Single-precision values on voxels (z, y, x)."""
Points: TypeAlias = Floats
"""Places or directions (n, 3) as x, y, z."""
Faces: TypeAlias = Ints
"""Triangles (m, 3): indices of their corners."""
