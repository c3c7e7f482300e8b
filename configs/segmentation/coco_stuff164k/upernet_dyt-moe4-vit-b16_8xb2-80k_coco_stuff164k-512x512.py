"""DyT with a MoE-adapter of four experts with UPerNet on COCO-Stuff164k."""

_base_ = "upernet_dyt-vit-b16_8xb2-80k_coco_stuff164k-512x512.py"

model = dict(backbone=dict(adapter=dict(type="mmdyt.MoEAdapter", num_experts=4)))
