"""DyT (MLP dispatch, r = 0.5, d = 128, rate loss only) with Mask R-CNN, COCO, 512 px."""

_base_ = [
    "../../_base_/models/detection_mask-rcnn_vit-b16.py",
    "../../_base_/datasets/detection_coco_512.py",
    "../../_base_/schedules/detection_adamw_12e.py",
    "../../_base_/detection_runtime.py",
]

model = dict(data_preprocessor=dict(pad_size_divisor=512), backbone=dict(img_size=512))
