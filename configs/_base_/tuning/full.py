"""Full tuning: everything trains."""

_base_ = "../models/vit-b16_in21k.py"

model = dict(tuning="full")
