"""SurfORA: from voxel masks of membranes to oriented surfaces and numbers with units."""
