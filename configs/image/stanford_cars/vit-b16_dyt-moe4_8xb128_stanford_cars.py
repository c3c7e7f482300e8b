"""DyT with a MoE-adapter of four experts on Stanford Cars."""

_base_ = "vit-b16_dyt_8xb128_stanford_cars.py"

model = dict(backbone=dict(adapter=dict(type="mmdyt.MoEAdapter", num_experts=4)))
