"""DyT with a MoE-adapter of four experts on SVHN."""

_base_ = "vit-b16_dyt_8xb128_svhn.py"

model = dict(backbone=dict(adapter=dict(type="mmdyt.MoEAdapter", num_experts=4)))
