"""Surfaces that turn in a browser, offline, within a page of `tomocore.page`.

In: measured meshes with their titles, contacts, slices of a tomogram. Out: one `Live` part of a page, with
positions in 16 bits, measures in 8, slices as JPEG, and the scripts that draw them by WebGL 2, all of them
ours and as readable as they lie here. Read `scene` first, then `viewer.js`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={"scene": ["SceneContact", "SceneSurface", "live_scene"]},
)
