"""AdaptFormer of the small ViT on real digits: adapters, no dispatch."""

_base_ = "vit-mini_dyt-fixed_digits.py"

model = dict(backbone=dict(dispatch=None), dyt=None)
optim_wrapper = dict(optimizer=dict(lr=3e-2))
