"""AdaptFormer, the adapters without dispatch, with UPerNet on ADE20K."""

_base_ = "upernet_dyt-vit-b16_8xb2-160k_ade20k-512x512.py"

model = dict(backbone=dict(dispatch=None), dyt=None)
