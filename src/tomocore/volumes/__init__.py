"""Volumes on regular grids, in and out of files.

In: MRC, OME-Zarr, TIFF, HDF5 and Amira files as the field's programs write them. Out: `Volume` (voxels
z, y, x with their edge and place in nm), and what looks wrong with a header. Read `formats` first, then
`volume`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={"formats": ["read_volume", "write_volume"], "volume": ["Volume"]},
)
