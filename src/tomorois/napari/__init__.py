"""The napari plugin: one dock with the steps of the loop, readers and writers, keys; thin over `loop`.

In: tomograms, and what a hand does with mouse and keys. Out: what is painted, judged, trained and found, as
`annotation` and `loop` keep it. Read `window` first, then `steps`.
"""
