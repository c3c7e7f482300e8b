"""DyT with token merging (ToMe, Bolya et al., ICLR 2023)."""

_base_ = "dyt.py"

model = dict(backbone=dict(type="mmdyt.ToMeViT", r=8))
