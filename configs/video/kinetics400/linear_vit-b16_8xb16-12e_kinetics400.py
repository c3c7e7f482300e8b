"""Frozen ViT-B/16, only the attentive head trains, on Kinetics-400."""

_base_ = "dyt_vit-b16_8xb16-12e_kinetics400.py"

model = dict(backbone=dict(dispatch=None, adapter=None), dyt=None, tuning="linear")
