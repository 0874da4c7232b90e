"""What a person paints and judges, and what a network is taught by it.

In: label volumes, painted strokes, rejected ROIs. Out: training targets with their weights; paintings and
judgements that survive a crash. Read `targets`, then `painting` and `curation`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "settings": ["AnnotationSettings"],
        "curation": ["Curation"],
        "session": ["AnnotationSession"],
        "targets": ["training_targets"],
    },
)
