"""DyT (MLP dispatch, r = 0.5) of ViT-B/16 on Kinetics-400, 8 GPUs x 16."""

_base_ = [
    "../../_base_/models/video_vit-b16.py",
    "../../_base_/datasets/video_kinetics400.py",
    "../../_base_/schedules/video_adamw_12e.py",
    "../../_base_/video_runtime.py",
]
