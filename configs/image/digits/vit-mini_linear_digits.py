"""Linear probe of the small ViT on real digits: only the head trains."""

_base_ = "vit-mini_dyt-fixed_digits.py"

model = dict(backbone=dict(dispatch=None, adapter=None), dyt=None, tuning="linear")
optim_wrapper = dict(optimizer=dict(lr=0.3))
