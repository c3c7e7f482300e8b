"""Frozen ViT-B/16, only neck and heads train, with UPerNet on ADE20K."""

_base_ = "upernet_dyt-vit-b16_8xb2-160k_ade20k-512x512.py"

model = dict(backbone=dict(dispatch=None, adapter=None), dyt=None, tuning="linear")
