"""How Sphinx makes the documentation site of these pages; `make site` builds it without a network."""

from importlib.metadata import version as version_of

project = "TomoROIS–SurfORA"
author = "The TomoROIS-SurfORA developers"
version = release = version_of("tomorois-surfora")

extensions = ["myst_parser"]
myst_heading_anchors = 3
# README.md is the first page where the folder is read on the web; index.md shows it within the site.
exclude_patterns = ["README.md", "gallery", "shots"]
root_doc = "index"

html_theme = "furo"
html_title = f"{project} {version}"
html_static_path: list[str] = []
html_copy_source = False
