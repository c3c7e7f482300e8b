"""AdaptFormer: the adapters of DyT, every token computed; with Mask R-CNN, COCO, 512 px."""

_base_ = "mask-rcnn_dyt-vit-b16_8xb2-12e_coco-512x512.py"

model = dict(backbone=dict(dispatch=None), dyt=None)
