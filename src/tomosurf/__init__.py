"""tomosurf: both tools over a project of many tomograms."""
