"""From a model and tomograms to confidence maps.

In: a model file and whole tomograms, tile by tile within a given memory. Out: confidence from 0 to 1, and
how far it can be trusted. Read `predict` first.
"""
