"""TomoROIS: regions of interest found directly in tomograms."""

import tomocore  # noqa: F401 - says how threads wait, before torch or numba is loaded
