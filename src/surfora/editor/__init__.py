"""Edits of points and meshes by hand, and the window in which they are made.

In: files of points and meshes, and edits recorded before. Out: a journal of edits (`*.edits.jsonl`) that
`surfora apply` replays, and edited surfaces. What the window does lies below it: selections are pure
functions, and the session holds all state. Read `session` first.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={"session": ["Session"], "files": ["apply_edits", "open_session"]},
)
