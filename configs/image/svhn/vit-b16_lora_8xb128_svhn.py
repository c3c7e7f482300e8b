"""LoRA of ViT-B/16 on SVHN. Paper: 97.36 %."""

_base_ = ["../../_base_/tuning/lora.py", "../../_base_/tasks/svhn.py"]

model = dict(head=dict(num_classes=_base_.data_preprocessor.num_classes))
