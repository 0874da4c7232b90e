"""The pages of the dock, one a step of the loop; each shows the state and calls file-level functions.

In: the window with its state. Out: what the hand chose. Read `step` first.
"""
