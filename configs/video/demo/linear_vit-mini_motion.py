"""Frozen small ViT on moving digits: only the attentive head trains."""

_base_ = "dyt_vit-mini_motion.py"

model = dict(backbone=dict(dispatch=None, adapter=None), dyt=None, tuning="linear")
