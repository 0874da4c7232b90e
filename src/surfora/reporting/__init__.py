"""What a run tells: tables, pictures, one page.

In: the files of a run. Out: `surfaces.csv`, `distances.csv`, `report.html`. Read `report` first.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={"report": ["write_run_report"]},
)
