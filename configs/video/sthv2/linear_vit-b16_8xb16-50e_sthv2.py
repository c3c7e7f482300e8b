"""Frozen ViT-B/16, only the attentive head trains, on Something-Something V2."""

_base_ = "dyt_vit-b16_8xb16-50e_sthv2.py"

model = dict(backbone=dict(dispatch=None, adapter=None), dyt=None, tuning="linear")
