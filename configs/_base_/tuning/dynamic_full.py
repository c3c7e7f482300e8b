"""Dynamic-Full: token dispatch without adapters, and everything trains."""

_base_ = "../models/vit-b16_in21k.py"

model = dict(backbone=dict(dispatch="mlp"), tuning="full")
