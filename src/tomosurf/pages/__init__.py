"""What a project's report leads to: a page a tomogram, an overview of all, methods to paste, numbers as JSON.

In: a project, and the results that lie in its folders. Out: `tomograms/<stem>.html`, `overview.html` and
`report.json` of its results. Read `tomogram_page` first.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={"overview": ["write_overview"], "tomogram_page": ["write_tomogram_page"]},
)
