"""SSF (Lian et al., NeurIPS 2022): a scale and a shift behind every operation."""

_base_ = "../models/vit-b16_in21k.py"

model = dict(backbone=dict(type="mmdyt.SSFViT"))
