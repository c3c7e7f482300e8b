"""SSF: scales and shifts after every operation, no adapters."""

_base_ = "plain.py"

model = dict(tuning="peft", backbone=dict(type="mmdyt.SSFViT"))
