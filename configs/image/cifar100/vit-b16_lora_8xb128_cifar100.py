"""LoRA of ViT-B/16 on CIFAR-100. Not run here; paper: 91.42 %."""

_base_ = [
    "../../_base_/tuning/lora.py",
    "../../_base_/datasets/cifar100_224.py",
    "../../_base_/schedules/full_adamw_100e.py",
    "../../_base_/default_runtime.py",
]
