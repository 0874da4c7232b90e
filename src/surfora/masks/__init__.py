"""Masks of membranes, before any surface is made of them.

In: mask and label volumes, ROIs. Out: each membrane in its box with its neighbours, cleaned by physical
size. Read `membranes` first; `separate_membranes` takes one mask of many apart.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={"settings": ["CleanSettings"], "cleaning": ["clean_mask"], "membranes": ["membranes_in"]},
)
