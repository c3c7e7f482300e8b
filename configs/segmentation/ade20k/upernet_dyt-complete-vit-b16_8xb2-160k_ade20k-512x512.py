"""DyT trained with the full loss (complete model and distillation) with UPerNet on ADE20K."""

_base_ = "upernet_dyt-vit-b16_8xb2-160k_ade20k-512x512.py"

model = dict(dyt=dict(complete_weight=1.0, distill_weight=1.0))
