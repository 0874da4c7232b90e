"""The boundary of a mask as a smooth mesh.

In: a cleaned mask. Out: a mesh that neither thins the membrane nor closes narrow gaps. Read `boundary`
first, then `tiles`, `fit`, `pinholes` and `levelset`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={"settings": ["IsosurfaceSettings"], "boundary": ["isosurface"]},
)
