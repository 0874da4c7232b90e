"""The mixed-scale dense network and its engines; `tomorois.msdnet.network` needs torch, this does not."""
