"""The network, and how it sees a tomogram.

In: tomogram intensities and the membranes beside them. Out: confidence on the network's grid; model
files. Read `msdnet.module` first, then `intensity`, `membrane_input` and `checkpoint`.
"""
