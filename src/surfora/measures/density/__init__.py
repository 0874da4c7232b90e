"""What the tomogram itself says of a membrane: where its middle lies, how far apart its leaflets are.

Read `density` first: it samples `profiles` along the normals, fits two leaflets to each (`bilayer`), leaves
out where nothing can be told (`evidence`), and finds the middle (`shift`); `files` is the command.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submod_attrs={"density": ["mesh_density"]})
