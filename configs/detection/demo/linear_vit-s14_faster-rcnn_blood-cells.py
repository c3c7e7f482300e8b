"""Frozen backbone on blood cells: only neck and heads train."""

_base_ = "adaptformer_vit-s14_faster-rcnn_blood-cells.py"

model = dict(backbone=dict(adapter=None), tuning="linear")
