"""Surfaces on their way to other programs and to subtomogram averaging.

In: measured surfaces, and particles as RELION, Warp and M, Dynamo, AV3 (EM) and IMOD write them. Out: the
same particles with what the surface beside them is like, particles sampled from surfaces, surfaces and tables
as other programs read them. Read `poses` and `mesh_files` first: what each program's angles mean, and what
each program is given.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__, submod_attrs={"nearest_membrane": ["surface_features"], "sample": ["sampled_particles"]}
)
