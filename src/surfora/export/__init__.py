"""Surfaces on their way to subtomogram averaging.

In: measured surfaces, and particles as RELION, Warp and M, Dynamo and AV3 (EM) write them. Out: the same
particles with what the surface beside them is like, and particles sampled from surfaces. Read `poses` first:
it says what each program's angles mean.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__, submod_attrs={"join": ["surface_features"], "sample": ["sampled_particles"]}
)
