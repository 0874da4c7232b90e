"""What a person paints, and what a network is taught by it.

In: label volumes, painted strokes, rejected ROIs. Out: training targets with their weights. Read
`targets`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={"targets": ["AnnotationSettings", "training_targets"]},
)
