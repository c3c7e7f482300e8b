"""DyT with a MoE-adapter of four experts on HMDB-51, split 1."""

_base_ = "dyt_vit-b16_8xb16-12e_hmdb51.py"

model = dict(backbone=dict(adapter=dict(type="mmdyt.MoEAdapter", num_experts=4)))
