"""From a confidence map to ROIs.

In: a confidence map, and the membranes where contacts are meant. Out: a `RoiSet`, whose ROIs may overlap;
membranes cut to them. Read `find` first, then `membrane_pairs`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={"settings": ["InstanceSettings"], "find": ["find_instances"]},
)
