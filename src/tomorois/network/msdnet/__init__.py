"""The mixed-scale dense network and its engines; `module` needs torch, this room does not."""
