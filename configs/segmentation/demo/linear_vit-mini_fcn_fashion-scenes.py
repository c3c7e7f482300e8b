"""Frozen backbone on composed scenes: only neck and heads train."""

_base_ = "dyt_vit-mini_fcn_fashion-scenes.py"

model = dict(backbone=dict(dispatch=None, adapter=None), dyt=None, tuning="linear")
optim_wrapper = dict(optimizer=dict(lr=0.1))
