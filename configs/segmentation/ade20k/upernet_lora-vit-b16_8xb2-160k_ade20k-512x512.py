"""LoRA of rank 16 on queries, keys and values with UPerNet on ADE20K."""

_base_ = [
    "../../_base_/models/segmentation_upernet_lora-vit-b16.py",
    "../../_base_/datasets/segmentation_ade20k.py",
    "../../_base_/schedules/segmentation_adamw_160k.py",
    "../../_base_/segmentation_runtime.py",
]
