"""The loop of annotating, training, predicting, curating and training again, as files in one folder.

In: paintings and judgements of `annotation`, and the folder that they lie in. Out: what training,
prediction and `surfora` are called with, and what became better or worse. Read `folder` first, then
`training_set`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={"folder": ["LoopFolder"], "threshold_preview": ["ThresholdPreview"]},
)
