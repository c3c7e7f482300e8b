"""DyT (MLP dispatch, r = 0.5) of ViT-B/16 on Something-Something V2, 8 GPUs x 16."""

_base_ = [
    "../../_base_/models/video_vit-b16.py",
    "../../_base_/datasets/video_sthv2.py",
    "../../_base_/schedules/video_adamw_50e.py",
    "../../_base_/video_runtime.py",
]

model = dict(cls_head=dict(num_classes=174))
