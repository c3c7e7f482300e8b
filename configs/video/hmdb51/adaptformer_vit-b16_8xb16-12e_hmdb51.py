"""AdaptFormer: adapters without dispatch, on HMDB-51, split 1."""

_base_ = "dyt_vit-b16_8xb16-12e_hmdb51.py"

model = dict(backbone=dict(dispatch=None), dyt=None)
