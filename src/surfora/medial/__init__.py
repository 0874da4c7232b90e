"""The middle of a membrane as a single layer of points.

In: a cleaned mask. Out: points with normals whose side is not yet decided. Read `points` first; its
kernels are in `projection`, the ends of membranes in `rims`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={"settings": ["MedialSettings"], "points": ["medial_points"]},
)
