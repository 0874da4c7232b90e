"""The floor that both tools stand on: volumes, files, settings, provenance and the console.

Which file belongs to which tomogram is told by `names`.
"""

import os

# Read when OpenMP is loaded, by torch or numba. Threads that spin while they wait take the core from the
# thread they wait for where other programs run: a training step of 21 ms took 780, and the points of a
# membrane twice the CPU-seconds (both seen).
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
