"""DyT with a MoE-adapter of four experts on FGVC-Aircraft."""

_base_ = "vit-b16_dyt_8xb128_aircraft.py"

model = dict(backbone=dict(adapter=dict(type="mmdyt.MoEAdapter", num_experts=4)))
