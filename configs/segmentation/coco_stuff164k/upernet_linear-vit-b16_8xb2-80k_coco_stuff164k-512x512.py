"""Frozen ViT-B/16, only neck and heads train, with UPerNet on COCO-Stuff164k."""

_base_ = "upernet_dyt-vit-b16_8xb2-80k_coco_stuff164k-512x512.py"

model = dict(backbone=dict(dispatch=None, adapter=None), dyt=None, tuning="linear")
