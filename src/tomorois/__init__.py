"""TomoROIS: regions of interest found directly in tomograms."""

import os

# Read when OpenMP is loaded, by torch or numba. Threads that spin while they wait take the core from the
# thread they wait for where other programs run: a training step of 21 ms took 780 (seen).
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
