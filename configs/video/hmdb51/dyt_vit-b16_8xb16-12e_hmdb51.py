"""DyT (MLP dispatch, r = 0.5) of ViT-B/16 on HMDB-51, split 1, 8 GPUs x 16."""

_base_ = [
    "../../_base_/models/video_vit-b16.py",
    "../../_base_/datasets/video_hmdb51.py",
    "../../_base_/schedules/video_adamw_12e.py",
    "../../_base_/video_runtime.py",
]

model = dict(cls_head=dict(num_classes=51))
