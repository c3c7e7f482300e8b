"""DyT (MLP dispatch, r = 0.5, rate loss only) with UPerNet on COCO-Stuff164k: 8 GPUs x 2."""

_base_ = [
    "../../_base_/models/segmentation_upernet_vit-b16.py",
    "../../_base_/datasets/segmentation_coco_stuff164k.py",
    "../../_base_/schedules/segmentation_adamw_80k.py",
    "../../_base_/segmentation_runtime.py",
]

model = dict(
    decode_head=dict(num_classes=_base_.num_classes),
    auxiliary_head=dict(num_classes=_base_.num_classes),
)
