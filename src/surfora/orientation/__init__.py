"""Normals that point to one side of each membrane.

In: points, with normals or without. Out: consistently oriented normals and how sure their side is. Read
`orient` first, then `agreement`, `dipole` and `sides`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={"settings": ["OrientSettings"], "orient": ["orient_normals"]},
)
