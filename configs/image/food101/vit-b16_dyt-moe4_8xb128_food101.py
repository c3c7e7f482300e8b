"""DyT with a MoE-adapter of four experts on Food-101."""

_base_ = "vit-b16_dyt_8xb128_food101.py"

model = dict(backbone=dict(adapter=dict(type="mmdyt.MoEAdapter", num_experts=4)))
