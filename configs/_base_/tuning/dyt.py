"""DyT: adapters, and MLPs of active tokens only."""

_base_ = "adaptformer.py"

model = dict(backbone=dict(dispatch="mlp"))
