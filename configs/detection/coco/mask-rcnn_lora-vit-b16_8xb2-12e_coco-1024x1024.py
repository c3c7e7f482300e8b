"""LoRA of rank 16 on queries, keys and values with Mask R-CNN, COCO, 1024 px."""

_base_ = [
    "../../_base_/models/detection_mask-rcnn_lora-vit-b16.py",
    "../../_base_/datasets/detection_coco.py",
    "../../_base_/schedules/detection_adamw_12e.py",
    "../../_base_/detection_runtime.py",
]
