"""AdaptFormer: adapters without dispatch, on Something-Something V2."""

_base_ = "dyt_vit-b16_8xb16-50e_sthv2.py"

model = dict(backbone=dict(dispatch=None), dyt=None)
