"""AdaptFormer, the adapters without dispatch, with UPerNet on COCO-Stuff164k."""

_base_ = "upernet_dyt-vit-b16_8xb2-80k_coco_stuff164k-512x512.py"

model = dict(backbone=dict(dispatch=None), dyt=None)
