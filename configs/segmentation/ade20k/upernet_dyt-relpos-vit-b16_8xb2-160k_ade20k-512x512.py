"""DyT with the relative position bias of the released segmentation model with UPerNet on ADE20K."""

_base_ = "upernet_dyt-vit-b16_8xb2-160k_ade20k-512x512.py"

model = dict(backbone=dict(rel_pos_bias=True))
