"""DyT with a MoE-adapter of four experts on Kinetics-400."""

_base_ = "dyt_vit-b16_8xb16-12e_kinetics400.py"

model = dict(backbone=dict(adapter=dict(type="mmdyt.MoEAdapter", num_experts=4)))
