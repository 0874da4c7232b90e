"""Synthetic tomograms with exact truth.

In: settings and a seed, or the membranes of a real segmentation. Out: tomogram, membranes, training
labels, true ROIs and their measures. The way: `shapes` -> `scene` (with `placement`, `buds`) ->
`specimen` -> `imaging` -> `truth`; read `phantom` first, which walks it.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={"phantom": ["PhantomSettings", "make_phantom"]},
)
