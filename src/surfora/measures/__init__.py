"""Numbers on surfaces, with units.

In: oriented meshes. Out: curvature, distance, roughness, and what the missing wedge left unmeasured, as
arrays on the mesh and as summaries weighted by area. Read `curvature` and `distance` first.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "curvature": ["mesh_curvature"],
        "distance": ["surface_distance"],
        "roughness": ["mesh_roughness"],
    },
)
