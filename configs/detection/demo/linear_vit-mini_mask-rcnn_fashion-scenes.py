"""Frozen backbone on composed scenes: only neck and heads train."""

_base_ = "adaptformer_vit-mini_mask-rcnn_fashion-scenes.py"

model = dict(backbone=dict(adapter=None), tuning="linear")
