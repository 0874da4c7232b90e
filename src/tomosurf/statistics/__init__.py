"""Statistics between conditions; the unit is the tomogram (or its grid), never the triangle.

In: tables with a row a contact, surface or ROI, and the condition and grid of each tomogram. Out: differences
with intervals, permutation tests, how many tomograms would show them; figures with their data. The way:
`tables` -> `measures` -> `hierarchy` -> `design` -> `compare` (on `resampling`, `permutation`, `effects`,
`power`) -> `study` -> `study_figures`, `comparison_page` -> `files`; read `compare` first.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "summary": ["summary_over_tomograms"],
        "study": ["study_of"],
        "files": ["compare_files"],
    },
)
