"""Frozen backbone on blood cells: only neck and heads train."""

_base_ = "dyt_vit-s14_faster-rcnn_blood-cells.py"

model = dict(backbone=dict(dispatch=None, adapter=None), dyt=None, tuning="linear")
