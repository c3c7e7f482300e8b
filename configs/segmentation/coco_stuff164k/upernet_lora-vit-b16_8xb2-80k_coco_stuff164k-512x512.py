"""LoRA of rank 16 on queries, keys and values with UPerNet on COCO-Stuff164k."""

_base_ = [
    "../../_base_/models/segmentation_upernet_lora-vit-b16.py",
    "../../_base_/datasets/segmentation_coco_stuff164k.py",
    "../../_base_/schedules/segmentation_adamw_80k.py",
    "../../_base_/segmentation_runtime.py",
]

model = dict(
    decode_head=dict(num_classes=_base_.num_classes),
    auxiliary_head=dict(num_classes=_base_.num_classes),
)
