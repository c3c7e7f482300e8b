"""Full tuning of the small ViT on real digits: everything trains."""

_base_ = "vit-mini_dyt-fixed_digits.py"

model = dict(backbone=dict(dispatch=None, adapter=None), dyt=None, tuning="full")
