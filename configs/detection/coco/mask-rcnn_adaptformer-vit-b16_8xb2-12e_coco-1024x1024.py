"""AdaptFormer: the adapters of DyT, every token computed; with Mask R-CNN, COCO, 1024 px."""

_base_ = "mask-rcnn_dyt-vit-b16_8xb2-12e_coco-1024x1024.py"

model = dict(backbone=dict(dispatch=None), dyt=None)
