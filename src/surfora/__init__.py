"""SurfORA: from voxel masks of membranes to oriented surfaces and numbers with units."""

import tomocore  # noqa: F401 - says how threads wait, before numba is loaded
