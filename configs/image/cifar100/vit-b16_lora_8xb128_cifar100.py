"""LoRA of ViT-B/16 on CIFAR-100. Paper: 91.42 %."""

_base_ = ["../../_base_/tuning/lora.py", "../../_base_/tasks/cifar100.py"]

model = dict(head=dict(num_classes=_base_.data_preprocessor.num_classes))
