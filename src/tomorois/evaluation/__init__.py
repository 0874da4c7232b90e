"""Predicted ROIs against true ones.

In: ROIs or confidence maps, and the truth. Out: matches, rates with intervals, Dice and IoU, curves, a
report. The way: `matching` -> `scores` -> `curves` -> `report`; read `evaluate` first.
"""
