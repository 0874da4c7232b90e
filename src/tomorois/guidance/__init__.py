"""What to annotate next, and whether more annotation is worth it.

In: confidence maps, or annotated tomograms. Out: a ranking of tomograms and places; a learning curve.
Read `ranking` first.
"""
