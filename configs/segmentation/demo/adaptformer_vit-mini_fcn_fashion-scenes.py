"""AdaptFormer on composed scenes: the adapters of DyT, every token computed."""

_base_ = "dyt_vit-mini_fcn_fashion-scenes.py"

model = dict(backbone=dict(dispatch=None), dyt=None)
custom_hooks = _base_.custom_hooks[:-1]  # no rate, no schedule
