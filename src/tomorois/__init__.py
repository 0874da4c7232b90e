"""TomoROIS: regions of interest found directly in tomograms."""
