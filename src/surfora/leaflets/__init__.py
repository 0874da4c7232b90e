"""The inner and the outer leaflet of a membrane.

In: its isosurface and its oriented medial mesh. Out: two meshes, and the thickness between them. Read
`split` first; `proxy` is what parts the sides.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "settings": ["ProxySettings", "LeafletSettings"],
        "split": ["split_leaflets"],
        "proxy": ["poisson_proxy"],
    },
)
