"""LoRA of rank 16 on queries, keys and values with Mask R-CNN, COCO, 512 px."""

_base_ = [
    "../../_base_/models/detection_mask-rcnn_lora-vit-b16.py",
    "../../_base_/datasets/detection_coco_512.py",
    "../../_base_/schedules/detection_adamw_12e.py",
    "../../_base_/detection_runtime.py",
]

model = dict(data_preprocessor=dict(pad_size_divisor=512), backbone=dict(module=dict(img_size=512)))
