"""DyT (MLP dispatch, r = 0.5, d = 128, rate loss only) with Mask R-CNN, COCO, 1024 px."""

_base_ = [
    "../../_base_/models/detection_mask-rcnn_vit-b16.py",
    "../../_base_/datasets/detection_coco.py",
    "../../_base_/schedules/detection_adamw_12e.py",
    "../../_base_/detection_runtime.py",
]
