"""From annotated tomograms to a model file.

In: tomograms with labels, membranes and rejected ROIs. Out: `model.safetensors` with its record, the
curves of the training. The way: `data`, `penalty` -> `patches`, `augment` -> `loss` -> `loop`; read `train`
first.
"""
