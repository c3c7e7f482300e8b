"""DyT (MLP dispatch, r = 0.5, rate loss only) with UPerNet on ADE20K: 8 GPUs x 2."""

_base_ = [
    "../../_base_/models/segmentation_upernet_vit-b16.py",
    "../../_base_/datasets/segmentation_ade20k.py",
    "../../_base_/schedules/segmentation_adamw_160k.py",
    "../../_base_/segmentation_runtime.py",
]
