"""AdaptFormer on blood cells: the adapters of DyT, every token computed."""

_base_ = "dyt_vit-s14_faster-rcnn_blood-cells.py"

model = dict(backbone=dict(dispatch=None), dyt=None)
