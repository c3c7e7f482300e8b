"""DyT's dispatch with SSF instead of adapters."""

_base_ = "dyt.py"

model = dict(backbone=dict(type="mmdyt.SSFViT", adapter=None))
