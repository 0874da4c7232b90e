"""From oriented points to a mesh without false bridges.

In: oriented points, and the mask that backs them. Out: a smooth mesh with open borders where the membrane
ends. Read `ballpivot` first, then `gap_filter`, `loops` and `smoothing`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "settings": ["MeshSettings", "SmoothSettings"],
        "ballpivot": ["mesh_points"],
        "smoothing": ["smooth_mesh"],
    },
)
