"""LoRA of ViT-B/16 on Oxford-IIIT Pets."""

_base_ = ["../../_base_/tuning/lora.py", "../../_base_/tasks/pets.py"]

model = dict(head=dict(num_classes=_base_.data_preprocessor.num_classes))
