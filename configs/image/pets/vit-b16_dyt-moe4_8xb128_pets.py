"""DyT with a MoE-adapter of four experts on Oxford-IIIT Pets."""

_base_ = "vit-b16_dyt_8xb128_pets.py"

model = dict(backbone=dict(adapter=dict(type="mmdyt.MoEAdapter", num_experts=4)))
