"""BitFit (Ben Zaken et al., ACL 2022): biases and the head train."""

_base_ = "../models/vit-b16_in21k.py"

model = dict(tuning="bitfit")
