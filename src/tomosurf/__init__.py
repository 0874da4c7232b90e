"""TomoROIS and SurfORA in sequence over a project of many tomograms."""
