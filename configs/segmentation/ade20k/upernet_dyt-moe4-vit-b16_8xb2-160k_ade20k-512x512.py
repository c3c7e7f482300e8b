"""DyT with a MoE-adapter of four experts with UPerNet on ADE20K."""

_base_ = "upernet_dyt-vit-b16_8xb2-160k_ade20k-512x512.py"

model = dict(backbone=dict(adapter=dict(type="mmdyt.MoEAdapter", num_experts=4)))
