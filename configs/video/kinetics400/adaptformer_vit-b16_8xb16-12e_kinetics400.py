"""AdaptFormer: adapters without dispatch, on Kinetics-400."""

_base_ = "dyt_vit-b16_8xb16-12e_kinetics400.py"

model = dict(backbone=dict(dispatch=None), dyt=None)
