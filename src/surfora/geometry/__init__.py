"""Point clouds and triangle meshes in nm, and what every stage asks of them.

In: arrays, and files of points and meshes. Out: `PointCloud`, `SurfaceMesh`, their areas, normals,
borders and components; even samples of points. Read `surface` first.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={"surface": ["PointCloud", "SurfaceMesh"], "files": ["read_mesh"]},
)
