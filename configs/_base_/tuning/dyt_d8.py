"""DyT with bottlenecks of 8, as the paper's VTAB-1K runs."""

_base_ = "dyt.py"

model = dict(backbone=dict(adapter=dict(bottleneck_dims=8)))
