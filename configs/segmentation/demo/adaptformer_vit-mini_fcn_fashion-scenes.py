"""AdaptFormer on composed scenes: the adapters of DyT, every token computed."""

_base_ = "dyt_vit-mini_fcn_fashion-scenes.py"

model = dict(backbone=dict(dispatch=None), dyt=None)
