"""Linear probe: only the head trains."""

_base_ = "../models/vit-b16_in21k.py"

model = dict(tuning="linear")
